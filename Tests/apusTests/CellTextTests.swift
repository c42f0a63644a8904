import Chain
import Testing

@testable import apus

@Suite struct CellTextTests {
    @Test func whatDiffersLooksDifferent() {
        let values: [Value] = [
            .null, .text("NULL"), .text(""), .text("null"), .text("\"NULL\""), .text("\"\"NULL\"\""),
            .text("\""),
            .text("\"\""), .int8(5), .text("5"), .text("\"5\""), .text("05"), .int8(-5), .text("-5"),
            .text("5e0"), .bool(true), .text("true"), .text("x'00ff'"),
            .bytea([0x00, 0xFF]), .bytea([]), .text("x''"), .text("00ff"),
            .text("AP8="), .text("a\tb"), .text("a\\tb"), .text("a\nb"), .text("a\\nb"), .text("a b"),
            .text("a\u{A0}b"), .text("\u{E9}"), .text("e\u{301}"), .text("\u{1B}[31m"), .text("\\u{1b}[31m"),
        ]
        let texts = values.map(CellText.text)
        for (index, text) in texts.enumerated() {
            for other in texts.indices where other != index {
                #expect(!text.utf8.elementsEqual(texts[other].utf8), "\(values[index]), \(values[other])")
            }
            #expect(text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }, "\(values[index])")
        }
    }

    @Test(
        arguments: [
            (Value.null, "NULL"), (.text("NULL"), "\"NULL\""), (.text(""), ""), (.text("name"), "name"),
            (.text("it's 5"), "it's 5"), (.text("5"), "\"5\""), (.text("-"), "-"), (.text("Nan"), "Nan"),
            (.int8(.min), "-9223372036854775808"), (.bool(false), "false"),
            (.bytea([0x00, 0xFF]), "x'00ff'"), (.text("a\tb\r\n"), #"a\tb\r\n"#),
        ])
    func reads(_ value: Value, _ expected: String) { #expect(CellText.text(value) == expected) }
}
