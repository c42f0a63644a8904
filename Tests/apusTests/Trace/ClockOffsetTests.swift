import Testing

@testable import apus

/// The arithmetic of clock offsets.
@Suite struct ClockOffsetTests {
    private func trip(_ sent: Int, _ reading: Int, _ received: Int) -> ClockOffset.RoundTrip {
        .init(sent: .microseconds(sent), reading: .microseconds(reading), received: .microseconds(received))
    }

    @Test func theShortestRoundTripCounts() {
        let trips = [trip(0, 1_000_900, 1_000), trip(2_000, 1_001_990, 2_100), trip(3_000, 1_003_000, 3_400)]
        #expect(
            ClockOffset(trips) == ClockOffset(offset: .microseconds(-999_940), uncertainty: .microseconds(50))
        )
        #expect(ClockOffset([]) == nil)
    }

    /// Wherever in a round trip the node reads its clock, the error is within the uncertainty.
    @Test(arguments: [0, 1, 50, 99, 100])
    func theUncertaintyIsABound(_ reading: Int) throws {
        // The node's clock is 5 s ahead, the round trip takes 100 µs.
        let found = try #require(ClockOffset([trip(700, 5_000_000 + 700 + reading, 800)]))
        let error = found.offset - .seconds(-5)
        #expect(error <= found.uncertainty && .zero - error <= found.uncertainty)
    }
}
