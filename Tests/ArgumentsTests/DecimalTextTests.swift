import Testing

@testable import Arguments

@Suite struct DecimalTextTests {
    @Test(
        arguments: [
            (0, 2, "0.00"), (1.005, 1, "1.0"), (0.0049, 2, "0.00"), (12.3456, 3, "12.346"), (-0.5, 1, "-0.5"),
            (99.999, 2, "100.00"), (7.6, 0, "8"), (123_456_789, 3, "123456789.000"), (1e30, 2, "1e+30"),
            (.infinity, 3, "inf"), (-.infinity, 3, "-inf"), (.nan, 3, "nan"),
        ] as [(Double, Int, String)])
    func rounds(_ value: Double, _ places: Int, _ expected: String) {
        #expect(DecimalText.text(value, places: places) == expected)
    }
}
