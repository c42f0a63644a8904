import Bytes
import CShims
import Chain
import TestSupport
import Testing

@testable import Execution

/// The effect of a statement does not depend on the width at which it runs (`CostModel.widths`): a value that is too
/// large is an error, after which the statement runs again.
@Suite struct WidthTests {
    static let narrow = CostModel.widths[0].bytes

    // MARK: Indexes

    /// At least 2,000 characters: more than the first width, less than the second.
    private static let text = "printf('%.*c', 2000 + a, 'x')"

    /// Beyond the limit SQLite's printf returns NULL without an error, so an index on it would lack rows.
    @Test(arguments: [
        "CREATE INDEX i ON t (a) WHERE \(text) IS NOT NULL", "CREATE INDEX i ON t (\(text))",
        "CREATE INDEX i ON t (a) WHERE format('%d%.*c', a, 2000, 'x') > '1'",
    ]) func indexesOverLongTextsHoldAllRows(_ index: String) throws {
        let directory = try TemporaryDirectory()
        let application = try directory.open()
        let chain = try ApplicationChain(application)
        for sql in [
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER)", "INSERT INTO t VALUES (1, 1), (2, 2)",
            index,
            "INSERT INTO t VALUES (3, 3), (4, 4), (5, 5)", "UPDATE t SET a = a + 10 WHERE id IN (1, 3)",
            "DELETE FROM t WHERE id IN (2, 4)", "INSERT OR REPLACE INTO t VALUES (5, 6), (7, 7)",
        ] {
            #expect(try chain.run(sql).isOK, "\(sql)")
            #expect(try application.integrityFaults() == [], "after \(sql)")
        }
        #expect(
            try chain.rows("SELECT id FROM t WHERE \(Self.text) IS NOT NULL ORDER BY a")
                == [[.int8(5)], [.int8(7)], [.int8(1)], [.int8(3)]])
    }

    /// A large parameter widens the first run.
    @Test func wideParametersChangeNothing() throws {
        let directory = try TemporaryDirectory()
        let insert = "INSERT INTO t SELECT id, printf('%.*c', id, 'x') FROM c WHERE $wide <> ''"
        let texts = ["x", String(repeating: "x", count: 20_000), String(repeating: "x", count: 100_000)]
        let tips = try texts.enumerated().map { index, text in
            let chain = try ApplicationChain(try directory.open("\(index)"))
            #expect(try chain.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)").isOK)
            #expect(try chain.run("CREATE TABLE c (id INTEGER PRIMARY KEY)").isOK)
            #expect(try chain.run("INSERT INTO c VALUES (1), (1023), (1024), (1025), (5000)").isOK)
            #expect(try chain.run(insert, [("$wide", .text(text))]).isOK)
            #expect(try chain.number("SELECT count(*) FROM t WHERE length(v) = id") == 5)
            return chain.application.tip
        }
        #expect(Set(tips.map(\.appHash)).count == 1)
    }

    // MARK: Functions

    /// Values that fit, although a combination of two, or an expansion of each byte, does not.
    private static let values: [Sample] = [
        .null, .integer(0), .integer(1_000), .integer(1_500), .real(-1.5e300),
        .text([UInt8](repeating: 0x61, count: 900)), .blob([UInt8](repeating: 0, count: 900)),
        .text([UInt8](repeating: 1, count: 400)), .text([0x61]), .text(Array("bcd".utf8)),
        .text(Array("[\"\(String(repeating: "a", count: 600))\",1]".utf8)),
        .text(Array("{\"a\":\"\(String(repeating: "a", count: 600))\"}".utf8)),
        .text(Array("$[0]".utf8)), .text(Array("$.b".utf8)), .text(Array("%1500d%s".utf8)),
        .text(Array("%.*c%s".utf8)), .text(Array("%s%Q%s".utf8)),
        .text([UInt8](repeating: 0x5B, count: 400) + [UInt8](repeating: 0x5D, count: 400)),
    ]

    /// A call as a value, over three rows, and in a window.
    private static func statements(calling call: String) -> [String] {
        let window = "SELECT \(call) OVER (ORDER BY i ROWS 1 PRECEDING) AS x FROM (\(threeRows))"
        return [
            "SELECT \(call)", "SELECT \(call) FROM (\(threeRows))",
            "SELECT x FROM (\(window)) LIMIT 1 OFFSET 2",
        ]
    }

    private static let threeRows = "SELECT 1 AS i UNION ALL SELECT 2 UNION ALL SELECT 3"

    @Test(arguments: SQLFunctions.deterministic.sorted()) func tooLongIsAnError(_ function: RawText) throws {
        let pair = try FunctionPair()
        var calls = 0
        for count in 0...3 {
            let arguments = (1..<count + 1).map { function == "likelihood" && $0 == 2 ? "0.5" : "?\($0)" }
            for sql in Self.statements(calling: "\"\(function)\"(\(arguments.joined(separator: ", ")))") {
                // The function does not take this number of arguments or this form.
                guard (try? pair.ours.prepare(sql)) != nil else { continue }
                calls += 1
                for values in Self.combinations(function == "likelihood" ? 1 : count) {
                    let narrow = try pair.results(of: sql, values, limit: Self.narrow).ours
                    guard narrow != .failure("string or blob too big") else { continue }
                    let wide = try pair.results(of: sql, values).ours
                    #expect(narrow == wide, "\(sql) of \(values)")
                }
            }
        }
        #expect(calls > 0, "the function cannot be called")
    }

    /// All pairs of the values, each also followed by a third.
    private static func combinations(_ count: Int) -> [[Sample]] {
        var all: [[Sample]] = [[]]
        for index in 0..<count {
            let step = index == 2 ? 3 : 1
            let next = stride(from: 0, to: values.count, by: step).map { values[$0] }
            all = all.flatMap { some in next.map { some + [$0] } }
        }
        return all
    }
}
