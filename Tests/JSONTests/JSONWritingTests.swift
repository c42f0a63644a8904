import Bytes
import Collections
import JSON
import TestSupport
import Testing

@Suite struct JSONWritingTests {
    private func text(_ layout: JSONWriter.Layout = .compact, _ body: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter(layout: layout)
        body(&writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    @Test func values() {
        #expect(text { $0.null() } == "null")
        #expect(text { $0.flag(true) } == "true")
        #expect(text { $0.integer(Int64.min) } == "-9223372036854775808")
        #expect(text { $0.integer(UInt64.max) } == "18446744073709551615")
        #expect(text { $0.integer(0) } == "0")
        #expect(text { $0.integer(Int8.min) } == "-128")
        #expect(text { $0.number(1.5) } == "1.5")
        #expect(text { $0.number(.nan) } == "null")
        #expect(text { $0.hex([0, 0xAB] as [UInt8]) } == "\"00ab\"")
        #expect(text { $0.base64([0xFB, 0xFF] as [UInt8]) } == "\"+/8=\"")
        #expect(
            text { $0.text("a\"\\/\u{0}\u{1F}\n\r\t\u{8}\u{C}é\u{7F}") }
                == #""a\"\\/\u0000\u001f\n\r\t\b\f"# + "é\u{7F}\"")
    }

    @Test func structures() {
        let compact = text {
            $0.object {
                $0.member("a", integer: 1)
                $0.array("b") { writer in
                    writer.text("x")
                    writer.object { _ in }
                    writer.array { $0.null() }
                }
                $0.name("c" as String)
                $0.object { $0.member("d", flag: false) }
                $0.array("e", { _ in })
            }
        }
        #expect(compact == #"{"a":1,"b":["x",{},[null]],"c":{"d":false},"e":[]}"#)
    }

    @Test func lines() {
        let lines = text(.lines) {
            $0.object {
                $0.member("a", integer: 1)
                $0.object("b") {
                    $0.member("c", text: "d" as StaticString)
                    $0.member("e", integer: 2)
                }
                $0.array("f") { _ in }
                $0.array("g") {
                    for number in 1...2 {
                        $0.object {
                            $0.member("h", integer: number)
                            $0.array("i") {
                                $0.integer(3)
                                $0.integer(4)
                            }
                        }
                    }
                }
            }
            $0.endLine()
        }
        #expect(
            lines == """
                {
                  "a": 1,
                  "b": {"c": "d", "e": 2},
                  "f": [],
                  "g": [
                    {"h": 1, "i": [3, 4]},
                    {"h": 2, "i": [3, 4]}
                  ]
                }

                """)
    }

    /// Everything written is read back unchanged.
    @Test func roundTrips() throws {
        for seed in 0..<300 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            let value = Generated(&random, depth: 0)
            for layout in [JSONWriter.Layout.compact, .lines] {
                var writer = JSONWriter(layout: layout)
                value.write(to: &writer)
                let root = try JSONDocument(writer.bytes).root
                #expect(try Generated(root) == value)
                var again = JSONWriter(layout: layout)
                again.value(root)
                #expect(again.bytes == writer.bytes)
            }
        }
    }

    /// A value of any shape.
    private indirect enum Generated: Equatable {
        case null
        case flag(Bool)
        case signed(Int64)
        case unsigned(UInt64)
        case number(Double)
        case text([UInt8])
        case array([Generated])
        case object([(name: [UInt8], value: Generated)])

        init(_ random: inout SeededGenerator, depth: Int) {
            func text() -> [UInt8] {
                let scalars = (0..<Int.random(in: 0..<8, using: &random)).compactMap { _ in
                    Unicode.Scalar(
                        UInt32.random(
                            in: 0...[0x1F, 0x7F, 0x7FF, 0x10FFFF][Int.random(in: 0..<4, using: &random)],
                            using: &random))
                }
                var view = String.UnicodeScalarView()
                view.append(contentsOf: scalars)
                return Array(String(view).utf8)
            }
            switch Int.random(in: depth < 4 ? 0..<8 : 0..<6, using: &random) {
            case 0: self = .null
            case 1: self = .flag(.random(using: &random))
            case 2: self = .signed(.random(in: .min...(-1), using: &random))
            case 3: self = .unsigned(.random(in: 0...(.max), using: &random))
            case 4:
                self = .number(
                    Double(Int64.random(in: -1_000_000...1_000_000, using: &random)) / 64 + 0.0078125)
            case 5: self = .text(text())
            case 6:
                self = .array(
                    (0..<Int.random(in: 0..<6, using: &random)).map { _ in
                        Generated(&random, depth: depth + 1)
                    })
            default:
                self = .object(
                    (0..<Int.random(in: 0..<20, using: &random)).map { number in
                        (text() + Array("\(number)".utf8), Generated(&random, depth: depth + 1))
                    })
            }
        }

        init(_ value: JSONValue) throws {
            switch value.kind {
            case .null: self = .null
            case .flag: self = .flag(try value.flag())
            case .integer:
                if let number = try? value.integer(UInt64.self) {
                    self = .unsigned(number)
                } else {
                    self = .signed(try value.integer())
                }
            case .decimal: self = .number(try value.double())
            case .text: self = .text(try value.text().bytes)
            case .array: self = .array(try value.array().map { try Generated($0) })
            case .object: self = .object(try value.object().map { ($0.name.bytes, try Generated($0.value)) })
            }
        }

        func write(to writer: inout JSONWriter) {
            switch self {
            case .null: writer.null()
            case .flag(let flag): writer.flag(flag)
            case .signed(let number): writer.integer(number)
            case .unsigned(let number): writer.integer(number)
            case .number(let number): writer.number(number)
            case .text(let bytes): writer.text(String(decoding: bytes, as: UTF8.self))
            case .array(let list): writer.array { for element in list { element.write(to: &$0) } }
            case .object(let members):
                writer.object {
                    for member in members {
                        $0.name(String(decoding: member.name, as: UTF8.self))
                        member.value.write(to: &$0)
                    }
                }
            }
        }

        static func == (left: Generated, right: Generated) -> Bool {
            switch (left, right) {
            case (.null, .null): true
            case (.flag(let left), .flag(let right)): left == right
            case (.signed(let left), .signed(let right)): left == right
            case (.unsigned(let left), .unsigned(let right)): left == right
            case (.number(let left), .number(let right)): left == right
            case (.text(let left), .text(let right)): left == right
            case (.array(let left), .array(let right)): left == right
            case (.object(let left), .object(let right)):
                left.count == right.count
                    && zip(left, right).allSatisfy { $0.name == $1.name && $0.value == $1.value }
            default: false
            }
        }
    }
}
