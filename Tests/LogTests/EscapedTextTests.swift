import Collections
import TestSupport
import Testing

@testable import Log

@Suite struct EscapedTextTests {
    private static let vectors: [([UInt8], String)] = [
        (Array("apus/1.0 (linux)".utf8), "apus/1.0 (linux)"),
        (Array("naïve 漢字 Ключи עברית".utf8), "naïve 漢字 Ключи עברית"),
        (Array("\u{1b}[2J\r\n20:00 critical".utf8), #"\x1b[2J\r\n20:00 critical"#),
        (Array("a\tb\\n\u{7f}\u{0}".utf8), #"a\tb\\n\x7f\x00"#),
        (Array("\u{85}\u{9b}31m".utf8), #"\u{85}\u{9b}31m"#),
        (Array("\u{2028}\u{2029}".utf8), #"\u{2028}\u{2029}"#),
        (Array("\u{202a}\u{202e}\u{2066}\u{2069}".utf8), #"\u{202a}\u{202e}\u{2066}\u{2069}"#),
        (
            Array("\u{200e}\u{200f}\u{61c}\u{200b}\u{200d}\u{feff}".utf8),
            #"\u{200e}\u{200f}\u{61c}\u{200b}\u{200d}\u{feff}"#
        ),
        (Array("a\u{a0}b\u{3000}\u{ad}".utf8), #"a\u{a0}b\u{3000}\u{ad}"#),
        (Array("\u{e9} e\u{301} \u{212b} \u{c5}".utf8), "\u{e9} e\\u{301} \\u{212b} \u{c5}"),
        (Array("\u{e0041}\u{10ffff}\u{e000}".utf8), #"\u{e0041}\u{10ffff}\u{e000}"#),
        ([0xC3], #"\xc3"#), ([0xC3, 0x28], #"\xc3("#), ([0xC0, 0x80], #"\xc0\x80"#),
        ([0xED, 0xA0, 0x80], #"\xed\xa0\x80"#), ([0xF4, 0x90, 0x80, 0x80], #"\xf4\x90\x80\x80"#),
        ([0xE0, 0x9F, 0xBF, 0xFF], #"\xe0\x9f\xbf\xff"#), ([0xF0, 0x9F, 0x98], #"\xf0\x9f\x98"#),
    ]

    @Test(arguments: vectors) func vector(bytes: [UInt8], text: String) {
        #expect(EscapedText(bytes).utf8.elementsEqual(text.utf8))
        #expect(EscapedText(bytes).description.utf8.elementsEqual(text.utf8))
        #expect(EscapedText(AnySequence(bytes)).utf8.elementsEqual(text.utf8))
    }

    /// The original can be recovered from the escaped text, so no two originals look the same, and the
    /// escaped text consists of printable characters only.
    @Test func whatDiffersLooksDifferent() throws {
        var random = SeededGenerator(seed: 12)
        for _ in 0..<4_000 {
            let bytes = Self.bytes(&random)
            let escaped = EscapedText(bytes)
            #expect(Self.original(of: escaped.utf8) == bytes)
            let text = try #require(String(validating: escaped.utf8, as: UTF8.self))
            for scalar in text.unicodeScalars where !scalar.isASCII {
                #expect(
                    ![.control, .format, .lineSeparator, .paragraphSeparator, .spaceSeparator].contains(
                        scalar.properties.generalCategory), "U+\(String(scalar.value, radix: 16))")
            }
            #expect(escaped.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F })
        }
    }

    /// A mix of bytes, scalars and fragments of escapes.
    static func bytes(_ random: inout SeededGenerator) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 0...8, using: &random) {
            switch Int.random(in: 0...4, using: &random) {
            case 0: bytes += random.bytes(Int.random(in: 1...3, using: &random))
            case 1:
                bytes +=
                    [#"\x"#, #"\u{"#, "}", "1b", #"""#, "\\", "=", " ", "\n"].randomElement(using: &random)?
                    .utf8.map { $0 } ?? []
            case 2: bytes.append(UInt8.random(in: 0...0x7F, using: &random))
            default:
                let range: ClosedRange<UInt32> =
                    Bool.random(using: &random) ? 0x80...0x2FFF : 0x3000...0x10_FFFF
                if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &random)) {
                    bytes += Array(String(scalar).utf8)
                }
            }
        }
        return bytes
    }

    /// Returns the original of `escaped`, or nil if escaping cannot produce it.
    static func original(of escaped: [UInt8]) -> [UInt8]? {
        var (out, rest) = ([UInt8](), escaped[...])
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                out.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "\\"): out.append(byte)
            case UInt8(ascii: "n"): out.append(10)
            case UInt8(ascii: "r"): out.append(13)
            case UInt8(ascii: "t"): out.append(9)
            case UInt8(ascii: "x"):
                guard let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                    return nil
                }
                out.append(value)
                rest = rest.dropFirst(2)
            case UInt8(ascii: "u"):
                let digits = rest.dropFirst().prefix { $0 != UInt8(ascii: "}") }
                guard let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16),
                    let scalar = Unicode.Scalar(value)
                else { return nil }
                out += Array(String(scalar).utf8)
                rest = rest.dropFirst(digits.count + 2)
            default: return nil
            }
        }
        return out
    }
}
