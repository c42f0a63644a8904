import Bytes
import CShims
import Collections
import JSON
import TestSupport
import Testing

@Suite struct JSONReadingTests {
    private func read(_ text: String, depth: Int = 64) throws(JSONError) -> JSONValue {
        try JSONDocument(Array(text.utf8), depth: depth).root
    }

    private func written(_ value: JSONValue) -> String {
        var writer = JSONWriter()
        writer.value(value)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// Valid texts (RFC 8259), and the same values written again.
    @Test(arguments: [
        ("null", "null"), (" true\r\n\t", "true"), ("false", "false"), ("\"\"", "\"\""), ("[]", "[]"),
        ("{}", "{}"), ("0", "0"), ("-0", "0"), ("-1", "-1"), ("[ 1 , 2 ]", "[1,2]"),
        ("{ \"a\" : { } }", #"{"a":{}}"#), ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"), ("18446744073709551615", "18446744073709551615"),
        ("1.5", "1.5"), ("1e2", "100.0"), ("-2.5E-1", "-0.25"), ("1e-400", "0.0"),
        (#""\u0041\u00e9\u20AC\ud83d\ude00""#, "\"Aé€😀\""),
        (#""\"\\\/\b\f\n\r\t\u0000\u001f""#, #""\"\\/\b\f\n\r\t\u0000\u001f""#),
        (#"{"":{"":1}}"#, #"{"":{"":1}}"#), ("\"\u{7F}\u{2028}\"", "\"\u{7F}\u{2028}\""),
        (#"{"a":1,"b":[{},[],null,"x"],"c":{"d":-5}}"#, #"{"a":1,"b":[{},[],null,"x"],"c":{"d":-5}}"#),
        // Equal to Swift but different in bytes: two names.
        ("{\"\u{E9}\":1,\"e\u{301}\":2}", "{\"\u{E9}\":1,\"e\u{301}\":2}"),
    ])
    func good(_ text: String, _ again: String) throws {
        #expect(Array(written(try read(text)).utf8) == Array(again.utf8))
    }

    /// Invalid texts, with a part of the message and the offset of the error.
    @Test(arguments: [
        ("", "expected a value, found the end", 0), (" \n ", "expected a value, found the end", 3),
        ("{", "expected a quoted name or \"}\", found the end", 1), ("[", "expected a value or \"]\"", 1),
        ("[1,]", "expected a value", 3), (#"{"a":1,}"#, "expected a quoted name", 7),
        ("[1 2]", "expected \",\" or \"]\"", 3), (#"{"a" 1}"#, "expected \":\"", 5),
        (#"{"a":}"#, "expected a value", 5), (#"{1:2}"#, "expected a quoted name", 1),
        ("[1}", "expected \",\"", 2),
        ("{} x", "expected the end", 3), ("{} {}", "expected the end", 3), ("[1]]", "expected the end", 3),
        ("01", "an invalid number", 0), ("-", "an invalid number", 0),
        ("1.", "after its point", 0),
        ("1e", "in its exponent", 0), ("+1", "expected a value", 0), (".5", "expected a value", 0),
        ("NaN", "expected a value", 0), ("1x", "an invalid number", 0), ("0x10", "an invalid number", 0),
        ("[18446744073709551616]", "beyond 64 bits", 1), ("-9223372036854775809", "beyond 64 bits", 0),
        ("100000000000000000000", "beyond 64 bits", 0), ("[1,1e400]", "beyond the range", 3),
        ("nul", "expected a value", 0), ("nullx", "not true, false or null", 0),
        ("True", "expected a value", 0),
        (#""\ud800""#, "an unpaired surrogate", 1), (#""\udc00""#, "an unpaired surrogate", 1),
        (#""\ud800\u0041""#, "an unpaired surrogate", 1), (#""\ud800x""#, "an unpaired surrogate", 1),
        (#""\ud800\ud800""#, "an unpaired surrogate", 1),
        (#""\x""#, "an invalid escape", 1), (#""\u12g4""#, "four hexadecimal digits", 1),
        (#""\u-123""#, "four hexadecimal digits", 1), (#""\u12"#, "four hexadecimal digits", 1),
        ("\"a", "unterminated string", 0), ("\"a\nb\"", "control character", 2),
        ("\"\u{0}\"", "control character", 1), ("'a'", "expected a value", 0),
        ("/**/1", "expected a value", 0),
        ("\u{FEFF}{}", "byte order mark", 0), ("[1\u{A0}]", "an invalid number", 1),
        ("\u{B}1", "expected a value", 0),
    ])
    func bad(_ text: String, _ message: String, _ offset: Int) {
        let error = #expect(throws: JSONError.self) { try read(text) }
        #expect(error?.message.contains(message) == true, "\(String(describing: error))")
        #expect(error?.position?.offset == offset, "\(String(describing: error))")
        #expect(error?.description.contains("\n") == false)
    }

    @Test(
        arguments: [
            [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0x80], [0xE2, 0x82], [0xFF],
            [0xF0, 0x80, 0x80, 0xAF], [0xF4, 0x90, 0x80, 0x80],
        ] as [[UInt8]])
    func notUTF8(_ bytes: [UInt8]) {
        let text = [UInt8(ascii: "\"")] + Array("é".utf8) + bytes + [UInt8(ascii: "\"")]
        let error = #expect(throws: JSONError.self) { try JSONDocument(text) }
        #expect(error?.reason == .syntax("not UTF-8"))
        #expect(error?.description == "not JSON: not UTF-8 (line 1, column 3)")
        #expect(error?.position?.offset == 3)
    }

    @Test func positionsHaveLineAndColumn() {
        let error = #expect(throws: JSONError.self) { try read("{\n  \"é\": 1,\n  \"b\": x\n}") }
        #expect(error?.description == "not JSON: expected a value (line 3, column 8)")
    }

    @Test(arguments: [
        (#"{"a":1,"a":2}"#, "duplicate key \"a\" (line 1, column 8)"),
        (#"{"a":1,"\u0061":2}"#, "duplicate key \"a\" (line 1, column 8)"),
        (#"[0,{"x":{"n":[{"k":1,"l":[2],"k":3}]}}]"#, "[1].x.n[0]: duplicate key \"k\" (line 1, column 30)"),
        ("{\"\":1,\n\"\":1}", "duplicate key \"\" (line 2, column 1)"),
        (
            "{\"\u{1B}[2J\":1}".replacing("\u{1B}", with: "\\u001b").replacing(
                "1}", with: "1,\"\\u001b[2J\":2}"), "duplicate key \"\\u{1b}[2J\" (line 1, column 16)"
        ),
    ])
    func duplicates(_ text: String, _ description: String) {
        let error = #expect(throws: JSONError.self) { try read(text) }
        #expect(error?.description == description)
    }

    @Test func duplicatesInWideObjects() throws {
        for count in [2, 11, 12, 13, 14, 500, 100_000] {
            let names = (0..<count).map { "\"name\($0)\":[\($0)]" }
            #expect(try read("{\(names.joined(separator: ","))}").object().map(\.name).count == count)
            for twice in [0, count / 2, count - 1] {
                let members = names + ["\"other\":1", "\"name\(twice)\":{}"]
                let error = #expect(throws: JSONError.self) {
                    try read("[{\(members.joined(separator: ","))}]")
                }
                #expect(error?.reason == .duplicateKey("\"name\(twice)\""))
                #expect(error?.path == "[0]")
            }
        }
    }

    @Test func nestingIsBounded() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[{\"a\":", count: depth / 2) + "1" + String(repeating: "}]", count: depth / 2)
        }
        _ = try read(nested(64))
        _ = try read(nested(8), depth: 8)
        for (depth, limit) in [(66, 64), (10, 8), (1_000_000, 64), (1_000_000, 1000)] {
            let error = #expect(throws: JSONError.self) { try read(nested(depth), depth: limit) }
            #expect(error?.reason == .tooDeep(limit: limit))
        }
        _ = try read(String(repeating: "[", count: 65) + String(repeating: "]", count: 65))
        // A parser that was given another limit does not keep the previous one.
        _ = try read(nested(64))
        #expect(throws: JSONError.self) { try read(String(repeating: "[", count: 2_000_000)) }
    }

    @Test func integersAreExact() throws {
        #expect(try read("9223372036854775807").integer(Int64.self) == .max)
        #expect(try read("-9223372036854775808").integer(Int64.self) == .min)
        #expect(try read("18446744073709551615").integer(UInt64.self) == .max)
        #expect(try read("9007199254740993").integer(Int.self) == 9_007_199_254_740_993)
        #expect(try read("255").integer(UInt8.self) == 255)
        for text in ["9223372036854775808", "1.0", "1e2", "\"1\"", "null", "true"] {
            #expect(throws: JSONError.self) { try read(text).integer(Int64.self) }
        }
        for text in ["-1", "256", "1.5"] {
            #expect(throws: JSONError.self) { try read(text).integer(UInt8.self) }
        }
    }

    @Test func membersAreTakenByName() throws {
        let root = try read(#"{"c":3,"a":{"x":[true,"t"]},"none":null,"b":2.5}"#)
        var members = try root.members()
        #expect(try members.value("a").object().map(\.name).count == 1)
        #expect(try members.value("b").double() == 2.5)
        #expect(try members.value("c").integer(Int.self) == 3)
        #expect(members.optional("none") == nil)
        #expect(members.optional("d") == nil)
        try members.finish()
        #expect(throws: JSONError(.missing, path: "none")) { try members.value("none") }

        var inner = try members.value("a").members()
        let error = #expect(throws: JSONError.self) { try inner.finish() }
        #expect(error?.description == "a.x: is unknown")
        let list = Array(try inner.value("x").array())
        #expect(list.count == 2)
        #expect(try list[0].flag())
        #expect(try list[1].text() == "t")
        #expect(throws: JSONError(.value("must be a string"), path: "a.x[0]")) { try list[0].string() }
        #expect(throws: JSONError(.missing, path: "a.y")) { try inner.value("y") }
        #expect(throws: JSONError(.value("must be an object"), path: "a.x[1]")) { try list[1].members() }
    }

    @Test func namesAreBytes() throws {
        let object = try read("{\"\u{E9}\":1,\"e\u{301}\":2}").object()
        let names = object.map { $0.name }
        #expect(names[0] != names[1])
        #expect(names[0].bytes == [0xC3, 0xA9])
        #expect(Set(names).count == 2)
    }

    @Test func unknownMembersBeyondAWordOfBits() throws {
        let many = (0..<200).map { "\"m\($0)\":\($0)" }.joined(separator: ",")
        var members = try read("{\(many)}").members()
        for _ in 0..<2 {
            #expect(try members.value("m199").integer(Int.self) == 199)
            #expect(try members.value("m0").integer(Int.self) == 0)
        }
        #expect(throws: JSONError(.unknown, path: "m1")) { try members.finish() }
    }

    /// Our scanner locates an error in every text that simdjson rejects and accepts every text it accepts.
    /// Texts differ by one byte.
    @Test func refusalsHaveAPlace() throws {
        let text = Array(#"{"a":[1,-2.5e3,"\u00e9\n€",true,null,{"b":{}}],"c":18446744073709551615}"#.utf8)
        var random = SeededGenerator(seed: 7)
        var refused = 0
        for _ in 0..<20_000 {
            var changed = text
            for _ in 0..<Int.random(in: 1...2, using: &random) {
                let position = Int.random(in: 0..<changed.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: changed[position] = .random(in: 0...255, using: &random)
                case 1: changed.remove(at: position)
                default: changed.insert(text[Int.random(in: 0..<text.count, using: &random)], at: position)
                }
            }
            do {
                _ = try JSONDocument(changed)
            } catch {
                refused += 1
                #expect(error.position != nil, "\(error): \(String(decoding: changed, as: UTF8.self))")
            }
        }
        #expect(refused > 10_000)
    }

    /// The parser that a thread reuses erases a secret text.
    @Test func secretsAreWiped() throws {
        let text = Array(#"{"key":"0123456789abcdef0123456789abcdef"}"#.utf8)
        var parsed = apus_json()
        #expect(apus_json_parse(text, text.count, 8, &parsed) == apus_json_ok)
        let texts = UnsafeBufferPointer(start: parsed.texts, count: text.count)
        let tape = UnsafeBufferPointer(start: parsed.tape, count: parsed.words)
        #expect(texts.contains(UInt8(ascii: "9")))
        #expect(tape.contains { $0 != 0 })
        apus_json_done(true)
        // The memory still belongs to the parser.
        #expect(texts.allSatisfy { $0 == 0 })
        #expect(tape.allSatisfy { $0 == 0 })
    }

    @Test func manyThreadsRead() async throws {
        await withTaskGroup(of: Int.self) { group in
            for number in 0..<64 {
                group.addTask {
                    let text =
                        "[" + Array(repeating: "\(number)", count: 100 * number + 1).joined(separator: ",")
                        + "]"
                    let array = try? JSONDocument(Array(text.utf8)).root.array()
                    return array.map { $0.reduce(0) { $0 + ((try? $1.integer(Int.self)) ?? -1) } } ?? -1
                }
            }
            var sum = 0
            for await part in group { sum += part }
            #expect(sum == (0..<64).reduce(0) { $0 + $1 * (100 * $1 + 1) })
        }
    }
}
