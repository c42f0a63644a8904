import Chain
import Multiformats
import TestSupport
import Testing

@testable import Execution

/// Statements that would never end, or fill the memory.
@Suite struct BudgetTests {
    let directory: TemporaryDirectory
    let chain: TestChain

    init() throws {
        directory = try TemporaryDirectory()
        chain = try TestChain(try directory.open())
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
            chain.statement("INSERT INTO t VALUES (2, 'kept')"),
            // A sender has one such statement a block.
            chain.statement("INSERT INTO t VALUES (3, 'lost')", by: other),
            chain.statement(bomb),
            chain.statement("INSERT INTO t VALUES (4, 'lost')"),
        ])
        #expect(result.results.map(\.isOK) == [true, false, true, false, false, false])
        #expect(result.results[1].log == "the statement exceeded its budget of 10000000 instructions")
        #expect(result.results[3].log == "the sender's statement exceeded its budget")
        #expect(try chain.rows("SELECT id FROM t ORDER BY id") == [[.int8(1)], [.int8(2)]])
        #expect(result.accounts.map(\.nonce).sorted() == [2, 6])
        // The next block is a new start.
        #expect(try chain.run("INSERT INTO t VALUES (5, 'kept')", by: other).isOK)
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
                StatementPolicy.Findings())
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
