import Bytes
import Glibc
import Testing

@testable import apus

/// The files that `apus testnet` reads, and those that it refuses.
@Suite struct RecordsTests {
    /// Reads `content` from a file with this name.
    private func read(_ name: String, _ content: [UInt8]) throws -> Records {
        var template = Array("/tmp/apus-records-XXXXXX".utf8CString)
        #expect(mkdtemp(&template) != nil)
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? DirectoryTree.remove(directory) }
        try FileContent.create("\(directory)/\(name)", content)
        return try Records(file: "\(directory)/\(name)")
    }

    /// Returns the error that refuses a file, from the file's name on.
    private func refusal(_ name: String, _ content: [UInt8]) -> String {
        let error = #expect(throws: Records.Failure.self) { try read(name, content) }
        let line = error.map(\.description) ?? ""
        #expect(!line.contains("\n"))
        return String(line.split(separator: "/").last ?? "")
    }

    private func bytes(_ rows: [[Records.Cell]]) -> [[[UInt8]?]] {
        rows.map { row in
            row.map { cell in
                switch cell {
                case .text(let text): Array("t\(text)".utf8)
                case .integer(let number): Array("i\(number)".utf8)
                case .null: nil
                }
            }
        }
    }

    @Test(arguments: [
        ("x,y\n1, a b\n", ["1", " a b"]),
        ("x,y\n\t1,\u{A0}\n", ["\t1", "\u{A0}"]),
        ("x,y\n,\"\"\n", ["", ""]),
        ("\u{FEFF}x,y\r\n\u{E9},e\u{301}\r\n", ["\u{E9}", "e\u{301}"]),
    ])
    func cellsOfCSVAreTheirBytes(_ text: String, _ cells: [String]) throws {
        let records = try read("people.csv", Array(text.utf8))
        #expect(records.table == "people" && records.columns == ["x", "y"])
        #expect(bytes(records.rows) == [cells.map { Array("t\($0)".utf8) }])
    }

    @Test(arguments: [
        ("a,b\n1,x\ny\n", "f.csv:3: row 2, column 2: "),
        ("a,b\n1,x\n1,2,3\n", "f.csv:3: row 2, column 3: "),
        ("id,name\n1,\"open\n2,b\n", "f.csv:2: row 1, column 2: "),
        ("id,name\n1,a\n\n2,b\n", "f.csv:3: row 2, column 1: "),
        ("id,name\n1,a\"b\n", "f.csv:2: row 1, column 2: "),
        ("id,id\n1,2\n", "f.csv:1: header, column 2: "),
        ("id,\n1,2\n", "f.csv:1: header, column 2: "),
        ("id,name\n1,\0\n", "f.csv:2: row 1, column 2: "),
        ("", "f.csv:1: header: "),
        ("a,b\n", "f.csv: has no rows"),
    ])
    func mistakesInCSVNameTheirPlace(_ text: String, _ start: String) {
        let line = refusal("f.csv", Array(text.utf8))
        #expect(line.hasPrefix(start), "\(line)")
    }

    @Test func bytesThatAreNoUTF8AreRefused() {
        let bad: [UInt8] = [0xFF]
        #expect(refusal("f.csv", Array("a\n".utf8) + bad).hasPrefix("f.csv:2: row 1, column 1: "))
        #expect(refusal("f.json", Array("[{\"a\":\"".utf8) + bad + Array("\"}]".utf8)).hasPrefix("f.json: "))
        let line = Array("0041;A;Lu;0;L;;;;;N;;;;0061;\n".utf8)
        #expect(
            refusal("UnicodeData.txt", line + line.dropLast() + bad + [0x0A]).hasPrefix("UnicodeData.txt:2: ")
        )
    }

    @Test func objectsBecomeRows() throws {
        let text = """
            [{"b": 1, "a": "x"}, {"a": null, "c": true}, {"b": "two", "c": 1.5},
             {"c": 18446744073709551615, "a": -9223372036854775808}, {"é": 7}, {"e\u{301}": 8}]
            """
        let records = try read("Some Things.json", Array(text.utf8))
        #expect(records.table == "some_things")
        #expect(records.columns == ["a", "b", "c", "e", "column_5"])
        let a: [Records.Cell] = [.text("x"), .null, .null, .text("-9223372036854775808"), .null, .null]
        let b: [Records.Cell] = [.text("1"), .null, .text("two"), .null, .null, .null]
        let c: [Records.Cell] = [
            .null, .text("true"), .text("1.5"), .text("18446744073709551615"), .null, .null,
        ]
        #expect(records.rows.map { $0[0] } == a)
        #expect(records.rows.map { $0[1] } == b)
        #expect(records.rows.map { $0[2] } == c)
        // Names that look the same but differ in bytes are two columns.
        #expect(records.rows.map { $0[3] } == [.null, .null, .null, .null, .null, .integer(8)])
        #expect(records.rows.map { $0[4] } == [.null, .null, .null, .null, .integer(7), .null])
    }

    @Test(arguments: [
        ("[{\"a\": 1, \"a\": 2}]", "[0]: duplicate key \"a\""),
        ("[{\"a\": 1,}]", "line 1"),
        ("[{\"a\": [1]}]", "[0].a"),
        ("[{\"a\": {\"b\": 1}}]", "[0].a"),
        ("[1]", "[0]"),
        ("{}", "must be an array"),
        ("[{\"a\": \"\\u0000\"}]", "[0].a"),
        ("[{\"a\": \"\\ud800\"}]", "line 1"),
        ("[]", "has no rows"),
        ("[{}]", "has 0 columns"),
        ("[{" + (0..<201).map { "\"k\($0)\": 1" }.joined(separator: ",") + "}]", "more than 200"),
    ])
    func mistakesInJSONNameTheirPlace(_ text: String, _ words: String) {
        let line = refusal("f.json", Array(text.utf8))
        #expect(line.hasPrefix("f.json: ") && line.contains(words), "\(line)")
    }

    @Test func linesOfTheUnicodeCharacterDatabase() throws {
        let line = "0041;LATIN CAPITAL LETTER A;Lu;0;L;;;;;N;;;;0061;"
        let records = try read("UnicodeData.txt", Array("\(line)\n\(line)\n".utf8))
        #expect(records.table == "unicode_data" && records.rows.count == 2 && records.columns.count == 15)
        #expect(records.rows[1][13] == .text("0061"))
        let short = refusal("UnicodeData.txt", Array("\(line)\n0042;B\n".utf8))
        #expect(short.hasPrefix("UnicodeData.txt:2: has 2 fields"), "\(short)")
    }

    @Test func columnsAreDistinct() {
        #expect(
            Records.identifiers(["a", "a_3", "A", "line", "", "é", "a_3", "fooBar", "9"])
                == ["a", "a_3", "a_4", "line_4", "column_5", "column_6", "a_3_7", "foo_bar", "n9"])
    }

    @Test(arguments: ["f.dat", "f", ".csv.txt"])
    func otherFilesAreRefused(_ name: String) {
        #expect(refusal(name, [0x61]).contains("must be a .csv"))
    }
}
