import Collections
import TestSupport
import Testing

@testable import CSV

@Suite struct CSVReaderTests {
    struct Content: Equatable {
        var header: [String]
        var rows: [[String]]
    }

    /// Reads `bytes` in pieces of `size`.
    private func read(
        _ bytes: [UInt8], by size: Int = .max, columns: Int = 100, cellSize: Int = 1000
    ) throws(CSVError) -> Content {
        var reader = try CSVReader(maximumColumns: columns, maximumCellSize: cellSize)
        var rows: [CSVReader.Row] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = Array(rest.prefix(size))
            rest = rest.dropFirst(size)
            var failure: CSVError?
            piece.withUnsafeBytes { pointer in
                do throws(CSVError) {
                    try reader.read(pointer) { rows.append($0) }
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
        }
        try reader.finish { rows.append($0) }
        #expect(rows.map(\.number) == Array(1..<(rows.count + 1)))
        return Content(header: reader.header, rows: rows.map(\.cells))
    }

    private func same(_ texts: [[String]], _ others: [[String]]) -> Bool {
        texts.map { $0.map { Array($0.utf8) } } == others.map { $0.map { Array($0.utf8) } }
    }

    @Test(arguments: [
        // Spaces, tabs and no-break spaces belong to the cell; canonically equivalent texts stay distinct.
        ("x,y\n1, a b\n", [["x", "y"], ["1", " a b"]]),
        ("x,y\n\t1 ,\u{A0}a\u{A0}\n", [["x", "y"], ["\t1 ", "\u{A0}a\u{A0}"]]),
        (" x,y \n  ,\t\n", [[" x", "y "], ["  ", "\t"]]),
        ("x,y\n\u{E9},e\u{301}\n", [["x", "y"], ["\u{E9}", "e\u{301}"]]),
        ("\u{E9},e\u{301}\n1,2\n", [["\u{E9}", "e\u{301}"], ["1", "2"]]),
        // Empty cells, with and without quotes.
        ("x,y\n,\n\"\",\"\"\n", [["x", "y"], ["", ""], ["", ""]]),
        ("x\n\"\"\n", [["x"], [""]]),
        // Quotes enclose commas, line breaks and doubled quotes.
        ("x,y\n\"a,b\",\"c\"\"d\"\n", [["x", "y"], ["a,b", "c\"d"]]),
        ("x,y\n\"a\r\nb\",\"\n\r\"\n", [["x", "y"], ["a\r\nb", "\n\r"]]),
        ("x\n\"\"\"\"\n\"\"\"a\"\"\"\n", [["x"], ["\""], ["\"a\""]]),
        ("\"x \",\"y\ny\"\n1,2\n", [["x ", "y\ny"], ["1", "2"]]),
        // Line ends, the last of which may be missing.
        ("x,y\r\n1,2\r\n\"3\",\"4\"\r\n", [["x", "y"], ["1", "2"], ["3", "4"]]),
        ("x,y\r\n1,2\n3,4", [["x", "y"], ["1", "2"], ["3", "4"]]),
        ("x,y\n1,", [["x", "y"], ["1", ""]]),
        ("x,y", [["x", "y"]]),
        // A byte order mark, which is special only at the start.
        ("\u{FEFF}x,y\n1,2\n", [["x", "y"], ["1", "2"]]),
        ("\u{FEFF}\"x\",y\n\u{FEFF}1,2\n", [["x", "y"], ["\u{FEFF}1", "2"]]),
        ("\u{FEFF}\u{FEFF}x\n1\n", [["\u{FEFF}x"], ["1"]]),
        ("x", [["x"]]),
    ])
    func cellsAreTheirBytes(_ text: String, _ expected: [[String]]) throws {
        for size in [1, 2, 3, 5, Int.max] {
            let content = try read(Array(text.utf8), by: size)
            #expect(same([content.header] + content.rows, expected), "in pieces of \(size)")
        }
    }

    @Test(arguments: [
        ("", CSVError(reason: .empty, line: 1, row: 0, column: nil)),
        ("\u{FEFF}", CSVError(reason: .empty, line: 1, row: 0, column: nil)),
        ("\n", CSVError(reason: .blankLine, line: 1, row: 0, column: 1)),
        // Names.
        ("x,\n1,2\n", CSVError(reason: .noName, line: 1, row: 0, column: 2)),
        ("x,\"\"\n1,2\n", CSVError(reason: .noName, line: 1, row: 0, column: 2)),
        ("x,y,x\n1,2,3\n", CSVError(reason: .sameName(as: 1), line: 1, row: 0, column: 3)),
        // Width.
        ("a,b\n1,x\ny\n", CSVError(reason: .width(1, header: 2), line: 3, row: 2, column: 2)),
        ("a,b\n1,x\n1,2,3\n", CSVError(reason: .width(3, header: 2), line: 3, row: 2, column: 3)),
        ("a,b\n\"1\n2\",x\ny", CSVError(reason: .width(1, header: 2), line: 4, row: 2, column: 2)),
        ("a,b\r\n1,x\r\ny\r\n", CSVError(reason: .width(1, header: 2), line: 3, row: 2, column: 2)),
        // Blank lines, in the middle and at the end.
        ("id,name\n1,a\n\n2,b\n", CSVError(reason: .blankLine, line: 3, row: 2, column: 1)),
        ("id,name\r\n1,a\r\n\r\n2,b\r\n", CSVError(reason: .blankLine, line: 3, row: 2, column: 1)),
        ("id\n1\n\n2\n", CSVError(reason: .blankLine, line: 3, row: 2, column: 1)),
        ("id\n1\n\n", CSVError(reason: .blankLine, line: 3, row: 2, column: 1)),
        // Quotes.
        ("id,name\n1,\"open\n2,b\n", CSVError(reason: .openQuote, line: 2, row: 1, column: 2)),
        ("id,name\n1,\"a\nb\"\n2,\"", CSVError(reason: .openQuote, line: 4, row: 2, column: 2)),
        ("id,\"name\n1,2\n", CSVError(reason: .openQuote, line: 1, row: 0, column: 2)),
        ("id,name\n1,a\"b\n", CSVError(reason: .quote, line: 2, row: 1, column: 2)),
        ("id,name\n1, \"a\"\n", CSVError(reason: .quote, line: 2, row: 1, column: 2)),
        ("id,name\n\"1\" ,a\n", CSVError(reason: .quote, line: 2, row: 1, column: 1)),
        ("id,name\n1,2\n\"a\"b,2\n", CSVError(reason: .quote, line: 3, row: 2, column: 1)),
        // CR.
        ("a,b\n1,x\ry\n", CSVError(reason: .bareCarriageReturn, line: 2, row: 1, column: 2)),
        ("a,b\n1,x\r\r\n", CSVError(reason: .bareCarriageReturn, line: 2, row: 1, column: 2)),
        ("a,b\r1,x\r", CSVError(reason: .bareCarriageReturn, line: 1, row: 0, column: 2)),
        ("a,b\n1,x\r", CSVError(reason: .bareCarriageReturn, line: 2, row: 1, column: 2)),
        // Zero bytes.
        ("a,b\n1,\0\n", CSVError(reason: .zeroByte, line: 2, row: 1, column: 2)),
        ("a,\"b\0\"\n1,\n", CSVError(reason: .zeroByte, line: 1, row: 0, column: 2)),
    ])
    func mistakesNameTheirPlace(_ text: String, _ expected: CSVError) {
        for size in [1, 2, 3, 5, Int.max] {
            let error = #expect(throws: CSVError.self) { try read(Array(text.utf8), by: size) }
            #expect(error == expected, "in pieces of \(size)")
            #expect(error.map { "\($0)".contains("\n") } == false)
        }
    }

    @Test(arguments: [[0xFF], [0xC3], [0xC0, 0xAF], [0xED, 0xA0, 0x80]] as [[UInt8]])
    func bytesThatAreNoUTF8AreRefused(_ bytes: [UInt8]) {
        for size in [1, 2, Int.max] {
            let error = #expect(throws: CSVError.self) {
                try read(Array("a,b\n1,2\n3,\"x".utf8) + bytes + Array("\"\n".utf8), by: size)
            }
            #expect(error == CSVError(reason: .notUTF8, line: 3, row: 2, column: 2))
        }
    }

    @Test func aRowIsBounded() {
        let wide = Array("a,b\n1,2\n".utf8) + [UInt8](repeating: UInt8(ascii: ","), count: 300_000)
        let error = #expect(throws: CSVError.self) { try read(wide, by: 100) }
        #expect(error == CSVError(reason: .tooManyColumns(limit: 100), line: 3, row: 2, column: 101))
    }

    @Test func aCellIsBounded() throws {
        let long = String(repeating: "x", count: 1000)
        #expect(try read(Array("a,b\n1,\(long)\n".utf8)).rows == [["1", long]])
        for text in [
            "a,b\n1,\(long)x\n", "a,b\n1,\"\(long)x\"\n",
            "a,b\n1,\"" + String(repeating: "\n", count: 300_000),
        ] {
            let error = #expect(throws: CSVError.self) { try read(Array(text.utf8), by: 100) }
            #expect(error == CSVError(reason: .cellTooLarge(limit: 1000), line: 2, row: 1, column: 2))
        }
    }

    /// Any cells, written as RFC 4180 specifies, are read back however the file is split.
    @Test(arguments: 0..<50 as Range<UInt64>)
    func generatedCellsComeBack(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let alphabet = ["a", " ", "\t", ",", "\"", "\n", "\r", "\r\n", "\u{E9}", "e\u{301}", "\u{A0}", "🦠"]
        func text() -> String {
            (0..<Int.random(in: 0...6, using: &generator)).map { _ in
                alphabet.randomElement(using: &generator) ?? ""
            }.joined()
        }
        func written(_ cell: String) -> String {
            let needsQuotes =
                cell.isEmpty || cell.unicodeScalars.contains { ",\"\n\r".unicodeScalars.contains($0) }
            guard needsQuotes || Bool.random(using: &generator) else { return cell }
            return "\"" + cell.unicodeScalars.map { $0 == "\"" ? "\"\"" : String($0) }.joined() + "\""
        }
        let width = Int.random(in: 1...5, using: &generator)
        let header = (0..<width).map { "\($0)" + text() }
        let rows = (0..<Int.random(in: 0...20, using: &generator)).map { _ in (0..<width).map { _ in text() }
        }
        var file = ""
        for row in [header] + rows {
            file += row.map(written).joined(separator: ",")
            file += Bool.random(using: &generator) ? "\n" : "\r\n"
        }
        let content = try read(Array(file.utf8), by: Int.random(in: 1...40, using: &generator))
        #expect(same([content.header] + content.rows, [header] + rows))
    }

    /// Arbitrary bytes cause at most an error.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func generatedBytesEndInRowsOrAnError(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let alphabet: [UInt8] = Array("ab,,\"\"\n\r ".utf8) + [0, 0xC3, 0xA9, 0xFF]
        let bytes = (0..<Int.random(in: 0...200, using: &generator)).map { _ in
            alphabet.randomElement(using: &generator) ?? 0
        }
        func outcome(by size: Int) -> Result<Content, CSVError> {
            do throws(CSVError) { return .success(try read(bytes, by: size)) } catch {
                return .failure(error)
            }
        }
        let whole = outcome(by: .max)
        let pieces = outcome(by: Int.random(in: 1...10, using: &generator))
        #expect(whole == pieces)
    }
}
