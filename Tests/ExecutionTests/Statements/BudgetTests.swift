import Bytes
import Chain
import TestSupport
import Testing

@testable import Execution

/// Statements that would never end or would exhaust memory.
@Suite struct BudgetTests {
    let directory: TemporaryDirectory
    let chain: ApplicationChain

    init() throws {
        directory = try TemporaryDirectory()
        chain = try ApplicationChain(try directory.open())
        try chain.run("CREATE TABLE t (id INT PRIMARY KEY, a TEXT)")
    }

    static let endless = "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c)"

    @Test(arguments: [
        "\(endless) SELECT max(n) FROM c", "\(endless) INSERT INTO t (id) SELECT n + 100 FROM c",
        "\(endless) DELETE FROM t WHERE id = (SELECT max(n) FROM c)",
    ]) func endlessStatementIsStopped(_ bomb: String) throws {
        let other = chain.stranger
        try chain.run("INSERT INTO grants VALUES ('\(AccountID(other.publicKey))')")
        let result = try chain.commit([
            chain.statement("INSERT INTO t VALUES (1, 'kept')"),
            chain.statement(bomb, by: other),
            chain.statement("INSERT INTO t VALUES (2, 'kept')", by: other),
            chain.statement(bomb),
            chain.statement("INSERT INTO t VALUES (3, 'kept')"),
        ])
        #expect(result.results.map(\.isOK) == [true, false, true, false, true])
        #expect(result.results[1].log == "the statement costs more than its budget of 10000000 units")
        #expect(try chain.rows("SELECT id FROM t ORDER BY id") == [[.int8(1)], [.int8(2)], [.int8(3)]])
        #expect(result.accounts.map(\.nonce).sorted() == [2, 5])
    }

    /// Produces neither values nor rows, so only an interruption stops it, which undoes the whole block.
    static let silent = """
        DELETE FROM t WHERE id < 0 OR (SELECT count(*) FROM t a, t b, t c, t d WHERE a.id + b.id + c.id + d.id < 0) > 9
        """

    @Test func interruptedStatementIsTakenOutOnce() throws {
        try chain.run(
            "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c LIMIT 100) INSERT INTO t SELECT n, '' FROM c"
        )
        let first = [
            try chain.statement("INSERT INTO t VALUES (1000, 'kept')"), try chain.statement(Self.silent),
            try chain.statement("INSERT INTO t VALUES (1001, 'kept')"),
        ]
        let second = try chain.statement(Self.silent)
        // A second one would make the block run once more.
        #expect(throws: ExecutionError.overBudget(transactions: 3)) { try chain.execute(first + [second]) }
        let result = try chain.commit(first)
        #expect(result.results.map(\.isOK) == [true, false, true])
        #expect(try chain.number("SELECT count(*) FROM t WHERE id > 999") == 2)
    }

    @Test func blockHasABudget() throws {
        let bombs = try (0..<8).map { _ in try chain.statement("\(Self.endless) SELECT max(n) FROM c") }
        // Five spend the block's budget, so there is none left for the sixth.
        #expect(throws: ExecutionError.overBudget(transactions: 5)) { try chain.execute(bombs) }
        // The transactions that fit execute as if there were no others.
        #expect(try chain.commit(Array(bombs.prefix(5))).results.allSatisfy { !$0.isOK })
    }

    /// Bytes are charged: those of large values in few instructions, and those of many rows.
    @Test(arguments: [
        "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c LIMIT 1000) INSERT INTO t SELECT n, zeroblob(4000000) FROM c",
        "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c LIMIT 10000) SELECT count(*) FROM c WHERE $a || n > $a",
        "UPDATE t SET a = a || 'x' WHERE id IN (SELECT value FROM json_each('[1,1,1]')) OR (SELECT count(*) FROM t, t u, t v, t w, t x WHERE w.a || x.a <> $a) > 3",
    ]) func bytesCount(_ sql: String) throws {
        let text = Value.text(String(repeating: "x", count: 1_000_000))
        #expect(
            try chain.run("INSERT INTO t VALUES (-1, $a), (-2, $a), (-3, $a), (-4, $a)", [("$a", text)]).isOK)
        let result = try chain.run(sql, [("$a", text)])
        #expect(result.log == "the statement costs more than its budget of 10000000 units")
        #expect(try chain.number("SELECT count(*) FROM t") == 4)
    }

    /// SQLite's operations on a whole table in one instruction are charged for each row.
    @Test(arguments: [
        "INSERT INTO t SELECT -1, count(*) FROM big", "DROP TABLE big",
        "SELECT count(*) FROM (SELECT 1 FROM big a, big b, big c)",
    ]) func wholeTablesCount(_ sql: String) throws {
        try chain.run("CREATE TABLE big (id INTEGER PRIMARY KEY, a BLOB)")
        let fill = """
            WITH RECURSIVE c(n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM c LIMIT 4000)
            INSERT INTO big SELECT n + $base, zeroblob(800) FROM c
            """
        for base in 0..<18 {
            #expect(try chain.run(fill, [("$base", .int8(Int64(base * 4_000)))]).isOK)
        }
        // A table of this size can still be counted but no longer dropped in one statement.
        let result = try chain.run(sql)
        #expect(result.isOK == sql.hasPrefix("INSERT"))
        #expect(try chain.number("SELECT count(*) FROM big") == 72_000)
        guard sql.hasPrefix("DROP") else { return }
        #expect(result.log == "the statement costs more than its budget of 10000000 units")
        #expect(try chain.run("DELETE FROM big WHERE id < 30000").isOK)
        #expect(try chain.run("DROP TABLE big").isOK)
    }

    @Test func countIsSQLitesOwn() throws {
        try chain.run("INSERT INTO t VALUES (1, 'x'), (2, NULL), (3, 'y'), (4, NULL)")
        try chain.run("CREATE TABLE r (id INTEGER PRIMARY KEY, v TEXT)")
        let sql = """
            SELECT group_concat(n || '/' || m, ' ') FROM (
                SELECT count(*) OVER w AS n, count(a) OVER w AS m FROM t
                WINDOW w AS (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING))
            """
        for (id, sql) in [
            (1, sql), (2, "SELECT count(*) || ',' || count(a) || ',' || count(DISTINCT a) FROM t"),
            (3, "SELECT count(*) || ',' || count(a) FROM t WHERE id > 9"),
            (4, "SELECT count(*) FILTER (WHERE id > 1) FROM t"),
        ] {
            #expect(try chain.run("INSERT INTO r VALUES (\(id), (\(sql)))").isOK)
            #expect(
                try chain.rows("SELECT v FROM r WHERE id = \(id)")
                    == chain.rows("SELECT CAST((\(sql)) AS TEXT)"))
        }
    }

    /// The cost of a statement does not depend on what ran before it.
    @Test func widthsHaveNoHistory() throws {
        let wide = Value.text(String(repeating: "x", count: 3_000))
        let insert = "INSERT INTO t VALUES ($i, $a || $a)"
        let chains = try ["b", "c"].map { try ApplicationChain(try directory.open($0)) }
        for chain in chains { try chain.run("CREATE TABLE t (id INT PRIMARY KEY, a TEXT)") }
        for index in 0..<4 {
            let values = [("$i", Value.int8(Int64(index))), ("$a", index % 2 == 0 ? wide : .text("y"))]
            #expect(try chains[0].run(insert, values).isOK)
            let again = try ApplicationChain(try directory.open("c"))
            #expect(try again.run(insert, values).isOK)
            #expect(again.application.tip == chains[0].application.tip)
        }
    }

    @Test func schemaHoldsNoLargeLiterals() throws {
        let literal = String(repeating: "x", count: 1_100)
        #expect(try chain.run("CREATE VIEW v AS SELECT 'x'").isOK)
        let result = try chain.run("CREATE VIEW w AS SELECT '\(literal)'")
        #expect(result.log == "w has a literal or name of more than 1024 bytes: store it in a row")
    }

    @Test(arguments: [
        "INSERT INTO t VALUES (1, hex(zeroblob(8000000)))",
        "INSERT INTO t VALUES (1, replace(hex(zeroblob(4000)), '0', hex(zeroblob(4000))))",
        "INSERT INTO t VALUES (1, zeroblob(1000000000000))",
        "INSERT INTO t SELECT 1, group_concat(x) FROM (SELECT hex(zeroblob(1000000)) AS x FROM json_each('[1,2,3,4,5,6,7,8]'))",
        "INSERT INTO t VALUES (1, \(String(repeating: "(", count: 300))1\(String(repeating: ")", count: 300)))",
        "SELECT \(String(repeating: "1 UNION SELECT ", count: 60))1",
        "SELECT \(String(repeating: "1,", count: 600))1",
        "INSERT INTO t VALUES (1, '\(String(repeating: "x", count: 1_000_000))')",
        "SELECT 1 WHERE 'x' LIKE '\(String(repeating: "%a", count: 2_000))'",
    ]) func largeThingsAreRefused(_ sql: String) throws {
        let result = try chain.commit([
            chain.statement(sql), chain.statement("INSERT INTO t VALUES (2, 'x')"),
        ])
        #expect(result.results.map(\.isOK) == [false, true], "\(result.results[0].log)")
    }

    @Test func costsAreDocumented() throws {
        #expect(
            try ProjectFile.text("docs/execution.md").contains(CostModel.documentation),
            "put the output of apus config --limits there")
    }

    @Test func fewSchemaObjects() throws {
        var statements: [Transaction] = []
        for index in 0..<50 { statements.append(try chain.statement("CREATE INDEX i\(index) ON t (a)")) }
        #expect(try chain.commit(statements).results.allSatisfy { $0.isOK })
    }

    @Test func cacheStaysBounded() throws {
        var cache = StatementCache()
        let connection = try SQLiteConnection(path: ":memory:", access: .readWrite)
        func compiled(_ text: RawText) throws -> CompiledStatement {
            try CompiledStatement(
                try connection.prepare(text.string), try StatementText(text, for: .query),
                StatementPolicy.Findings(), ExpandedSize())
        }
        for index in 0..<ExecutionLimits.cachedStatements {
            let text = RawText("SELECT \(index)")
            cache.insert(try compiled(text), for: text)
        }
        #expect(cache.find("SELECT 0") != nil)
        cache.insert(try compiled("SELECT -1"), for: "SELECT -1")
        #expect(cache.find("SELECT 0") != nil && cache.find("SELECT -1") != nil)
        #expect(cache.find("SELECT 1") == nil)
    }
}
