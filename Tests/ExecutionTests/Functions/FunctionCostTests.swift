import Chain
import TestSupport
import Testing

@testable import Execution

/// The charges of functions beyond the instructions that call them.
@Suite struct FunctionCostTests {
    let pair: FunctionPair

    init() throws { pair = try FunctionPair() }

    /// Expressions over a size ?1, for which SQLite's own functions take time proportional to its square.
    static let linear = [
        "instr(hex(zeroblob(?1 * 3)), hex(zeroblob(?1)) || '1')",
        "replace(hex(zeroblob(?1 * 3)), hex(zeroblob(?1)) || '1', 'x')",
        "replace(hex(zeroblob(?1)), '00', '0')", "replace(hex(zeroblob(?1)), '0', 'abc')",
        "trim(replace(hex(zeroblob(?1)), '0', 'z'), 'abcdefghijklmnopqrstuvwxyz')",
        "rtrim(printf('%.*c', ?1, 'z'), printf('%.*c', ?1 / 20, 'y') || 'xz')",
        "hex(zeroblob(?1)) LIKE '%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%1'",
        "hex(zeroblob(?1)) GLOB '*0*0*0*0*[0-9]*[0-9]*[0-9]*[0-9]*1'",
        "json_array(hex(zeroblob(?1)))", "quote(zeroblob(?1))", "json_valid('[' || hex(zeroblob(?1)) || ']')",
        "json_type('[' || replace(hex(zeroblob(?1)), '0', '1,') || '1]', '$[0]')",
        "soundex(hex(zeroblob(?1)))", "substr(hex(zeroblob(?1)), -1)", "length(hex(zeroblob(?1)))",
        "upper(hex(zeroblob(?1))) = lower(hex(zeroblob(?1))) COLLATE NOCASE",
    ]

    @Test(arguments: linear) func linearWork(_ sql: String) throws {
        let size = 20_000
        let once = try pair.cost(of: "SELECT \(sql)", [.integer(Int64(size))])
        let twice = try pair.cost(of: "SELECT \(sql)", [.integer(Int64(size * 2))])
        #expect(once.failure == nil && twice.failure == nil)
        #expect(once.units > 100)
        #expect(twice.units > once.units * 3 / 2)
        #expect(twice.units < once.units * 5 / 2)
        // At most one unit for a comparison, or for four bytes of the expression's values.
        #expect(once.units < size * 4)
    }

    /// Work that is not linear stops with the budget.
    @Test(arguments: [
        "hex(zeroblob(100000)) LIKE '%' || hex(zeroblob(400)) || '1'",
        "hex(zeroblob(100000)) GLOB '*[' || hex(zeroblob(400)) || ']1'",
        "json_patch('{' || replace(hex(zeroblob(20000)), '0', '\"a\":1,') || '\"b\":1}', '{' || replace(hex(zeroblob(20000)), '0', '\"c\":1,') || '\"d\":1}')",
        "(WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 4000) SELECT count(*) FROM (SELECT hex(zeroblob(1000)) || i AS v FROM c ORDER BY v COLLATE NOCASE))",
        "(SELECT count(*) FROM json_each('[' || replace(hex(zeroblob(20000)), '0', '1,') || '1]') a, json_each('[' || replace(hex(zeroblob(20000)), '0', '1,') || '1]') b)",
        "(SELECT sum(length(fullkey)) FROM json_tree(replace(hex(zeroblob(400)), '0', '[') || replace(hex(zeroblob(400)), '0', ']')))",
    ]) func otherWorkIsCounted(_ sql: String) throws {
        let all = try pair.cost(of: "SELECT \(sql)", budget: 100_000)
        #expect(all.units == 100_000)
        #expect(all.failure != nil)
    }

    /// Characters of invalid UTF-8 can have any length.
    @Test func longCharactersAreCounted() throws {
        let long = [0xC2] + [UInt8](repeating: 0x80, count: 200)
        let set = (UInt8(0x81)...0xBF).flatMap { long + [$0] } + long
        let text = [[UInt8]](repeating: long, count: 500).flatMap { $0 }
        let cost = try pair.cost(of: "SELECT trim(?1, ?2)", [.text(text), .text(set)])
        #expect(cost.failure == nil)
        #expect(cost.units > 50_000)
    }

    /// A result that would be too large is refused before it is built.
    @Test(arguments: [
        "json_array(\(list(50)))", "json_object(\(list(50, "'a', ")))", "json_quote(?1)",
        "json_set('{}', \(list(40, "'$.a', ")))", "json_insert('[]', \(list(40, "'$[#]', ")))",
        "json_extract('[' || json_quote(hex(zeroblob(2000000))) || ']', '$', '$', '$')",
        "(WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 50) SELECT json_group_array(?1) FROM c)",
        "(WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 50) SELECT json_group_object(i, ?1) FROM c)",
        "replace(?1, char(1), '1234567890')", "hex(zeroblob(8000000))", "printf('%.*c', 9000000, 'x')",
        "printf('%9000000d', 1)", "printf('%.9000000f', 1)", "quote(zeroblob(8000000))",
        "(SELECT count(*) FROM json_each(json_array(hex(zeroblob(3000000)))) a, json_each(json_array(hex(zeroblob(3000000)))) b)",
    ]) func largeResultsAreRefused(_ sql: String) throws {
        let text = Sample.text([UInt8](repeating: 1, count: 2_000_000))
        let cost = try pair.cost(of: "SELECT \(sql)", sql.contains("?1") ? [text] : [])
        #expect(cost.failure == "string or blob too big")
        #expect(cost.units < CostModel.statement.value / 2)
    }

    private static func list(_ count: Int, _ prefix: String = "") -> String {
        [String](repeating: "\(prefix)?1", count: count).joined(separator: ", ")
    }

    @Test func fewArgumentsOfExtremes() throws {
        #expect(try pair.cost(of: "SELECT max(1, 2, 3, 4, 5, 6, 7, 8)").failure == nil)
        let failure = try pair.cost(of: "SELECT min(1, 2, 3, 4, 5, 6, 7, 8, 9)").failure
        #expect(failure == "min takes at most 8 arguments: nest it")
    }

    @Test func nothingIsChargedForTheNodesOwnStatements() throws {
        pair.meter.start(1_000)
        let (ours, theirs) = try pair.results(of: "SELECT length(hex(zeroblob(1000000)))", [])
        #expect(ours == theirs)
        #expect(pair.meter.used == 0)
    }

    /// Our functions work wherever SQLite's do.
    @Test func schemasMayCallThem() throws {
        let directory = try TemporaryDirectory()
        let chain = try ApplicationChain(try directory.open())
        for sql in [
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT DEFAULT (upper('x')) CHECK (length(a) < 9 AND a NOT LIKE 'q%'), b TEXT COLLATE NOCASE)",
            "CREATE INDEX i ON t (lower(a), hex(b))",
            "CREATE INDEX j ON t (b) WHERE instr(a, 'x') > 0",
            "CREATE VIEW v AS SELECT id, replace(a, 'X', 'y') AS r, (SELECT count(*) FROM json_each(b)) AS n FROM t",
            "INSERT INTO t (id, b) VALUES (1, '{\"k\":1}'), (2, '[1,2]')",
            "ALTER TABLE t RENAME COLUMN a TO c",
            "ALTER TABLE t RENAME TO u",
        ] {
            #expect(try chain.run(sql).isOK)
        }
        #expect(try !chain.run("INSERT INTO u VALUES (3, 'q', NULL)").isOK)
        // Queries read the schema with SQLite's functions.
        #expect(try chain.rows("SELECT r, n FROM v") == [[.text("y"), .int8(1)], [.text("y"), .int8(2)]])
        #expect(try chain.number("SELECT id FROM u WHERE lower(c) = 'x' AND hex(b) = '5B312C325D'") == 2)
        let refused = try chain.run("CREATE INDEX k ON u (json_extract(b, '$.k'))")
        #expect(refused.log == "unsafe use of json_extract()")
    }

    /// Statements that would take minutes or gigabytes.
    @Test func hostileStatementsEnd() throws {
        let directory = try TemporaryDirectory()
        let chain = try ApplicationChain(try directory.open())
        try chain.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
        let sought = "instr(hex(zeroblob(3000000)), hex(zeroblob(700000)) || '1')"
        #expect(try chain.run("INSERT INTO t VALUES (1, \(sought))").isOK)
        #expect(try chain.rows("SELECT a FROM t") == [[.int8(0)]])
        let control = "replace(replace(hex(zeroblob(2000000)), '0', '12'), '12', char(1))"
        let array = "json_array(\([String](repeating: control, count: 50).joined(separator: ", ")))"
        #expect(try chain.run("INSERT INTO t VALUES (2, \(array))").isOK == false)
        let many = (4_000_001...4_000_098).map { "hex(zeroblob(\($0)))" }.joined(separator: ", ")
        #expect(try chain.run("INSERT INTO t SELECT 3, 1 WHERE max('a', \(many)) > ''").isOK == false)
        #expect(try chain.number("SELECT count(*) FROM t") == 1)
    }
}
