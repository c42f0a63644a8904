import Bytes
import Chain
import TestSupport
import Testing

@testable import Execution

/// Round trips of values, and the rules for queries.
@Suite struct QueryTests {
    let directory: TemporaryDirectory
    let chain: ApplicationChain

    init() throws {
        directory = try TemporaryDirectory()
        chain = try ApplicationChain(try directory.open())
    }

    @Test func everyTypeComesBack() throws {
        let uuid = try #require(Value.uuid((0..<16).map { UInt8($0) * 16 }))
        let values: [(String, String, Value)] = [
            ("TEXT", "a", .text("naïve 日\u{0}x")), ("TEXT", "b", .text("")), ("INT8", "c", .int8(.min)),
            ("BIGINT", "d", .int8(.max)), ("BYTEA", "e", .bytea([0, 1, 255])), ("BLOB", "f", .bytea([])),
            ("BOOL", "g", .bool(true)), ("BOOLEAN", "h", .bool(false)), ("UUID", "i", uuid),
            ("NUMERIC(9,4)", "j", try #require(.numeric("12345.6789", precision: 9, scale: 4))),
            ("NUMERIC", "k", try #require(.numeric("42", precision: 2, scale: 0))), ("TEXT", "l", .null),
            ("REAL", "m", try #require(.numeric("0.1", precision: 2, scale: 1))),
        ]
        let columns = values.map { "\($0.1) \($0.0)" }.joined(separator: ", ")
        try #require(try chain.run("CREATE TABLE v (id INT PRIMARY KEY, \(columns))").isOK)
        let names = values.map { "$\($0.1)" }.joined(separator: ", ")
        let result = try chain.run("INSERT INTO v VALUES (1, \(names))", values.map { ("$\($0.1)", $0.2) })
        try #require(result.isOK, "\(result.log)")
        let read = try chain.application.query("SELECT * FROM v", [], limits: QueryLimits())
        #expect(read.columnNames == ["id"] + values.map(\.1))
        #expect(
            read.columnTypes.map(\.name) == [
                .int8, .text, .text, .int8, .int8, .bytea, .bytea, .bool, .bool, .uuid, .numeric, .numeric,
                .text, .numeric,
            ])
        for (index, (_, name, value)) in values.enumerated() {
            #expect(read.rows[0][index + 1] == value, "\(name)")
        }
        // Also as parameters of a query.
        let both = try chain.rows(
            "SELECT count(*) FROM v WHERE i = $i AND g = $g AND e = $e",
            ["i": uuid, "$g": .bool(true), "e": .bytea([0, 1, 255])])
        #expect(both == [[.int8(1)]])
    }

    @Test func decimalsInTextStayExact() throws {
        try chain.run("CREATE TABLE d (id INT PRIMARY KEY, amount TEXT)")
        let amount = try #require(
            Value.numeric(
                "115792089237316195423570985008687907853269984665640564039457.5", precision: 61, scale: 1))
        #expect(try chain.run("INSERT INTO d VALUES (1, $a)", [("$a", amount)]).isOK)
        #expect(
            try chain.rows("SELECT amount FROM d") == [
                [.text("115792089237316195423570985008687907853269984665640564039457.5")]
            ])
    }

    /// Two names that Swift treats as equal are different parameters.
    @Test func namesOfParametersAreBytes() throws {
        let values: KeyValuePairs<String, Value> = ["$\u{E9}": .text("A"), "$e\u{301}": .text("B")]
        #expect(try chain.rows("SELECT $\u{E9}, $e\u{301}", values) == [[.text("A"), .text("B")]])
        #expect(
            try chain.rows("SELECT $e\u{301}, :\u{E9}", ["\u{E9}": .int8(1), "e\u{301}": .int8(2)]) == [
                [.int8(2), .int8(1)]
            ])
        #expect(throws: ExecutionError.self) {
            try chain.rows("SELECT $\u{E9}", ["$e\u{301}": .text("B")])
        }
    }

    @Test func arraysAreJSON() throws {
        let members: [Value.Element] = [.text("a\"b\\\n"), .null, .text("日")]
        let texts = try #require(Value.array(of: .text, members))
        #expect(try chain.rows("SELECT $a", ["a": texts]) == [[.text(#"["a\"b\\\u000a",null,"日"]"#)]])
        #expect(
            try chain.rows("SELECT value FROM json_each($a)", ["a": texts]) == [
                [.text("a\"b\\\n")], [.null], [.text("日")],
            ])
        let numbers = try #require(Value.array(of: .int8, [.int8(.min), .int8(3)]))
        #expect(
            try chain.rows("SELECT value FROM json_each($a)", ["a": numbers]) == [[.int8(.min)], [.int8(3)]])
        let bytes = try #require(Value.array(of: .bytea, [.bytea(SharedBytes([1, 255]))]))
        #expect(try chain.rows("SELECT $a", ["a": bytes]) == [[.text(#"["01ff"]"#)]])
        let flags = try #require(Value.array(of: .bool, [.bool(true)]))
        #expect(try chain.rows("SELECT $a", ["a": flags]) == [[.text("[true]")]])
        let decimals = try #require(Value.array(of: .numeric, [.numeric("1.50"), .numeric("7")]))
        #expect(try chain.rows("SELECT $a", ["a": decimals]) == [[.text(#"["1.50",7]"#)]])
    }

    @Test(arguments: [
        "INSERT INTO t VALUES (1)", "UPDATE t SET id = 2", "DELETE FROM t",
        "CREATE TABLE u (id INT PRIMARY KEY)", "DROP TABLE t",
        "WITH c AS (SELECT 1) DELETE FROM t", "WITH c(x) AS (SELECT 9) INSERT INTO t SELECT x FROM c",
        "PRAGMA user_version",
        "VACUUM INTO '/tmp/apus-vacuumed.sqlite'", "ATTACH '/tmp/apus-attached.sqlite' AS o", "BEGIN",
        "EXPLAIN SELECT 1",
        "SELECT load_extension('x')", "SELECT fts3_tokenizer('simple')", "SELECT balance FROM apus_accounts",
        "SELECT * FROM pragma_database_list", "SELECT * FROM sqlite_stmt", "SELECT * FROM dbstat",
        "SELECT 1; SELECT 2", "SELECT $a", "SELECT ?", "{info}SELECT 1", "", "SELECT",
        "SELECT missing FROM t",
    ]) func refused(_ sql: String) throws {
        try chain.run("CREATE TABLE t (id INT PRIMARY KEY)")
        let error = #expect(throws: ExecutionError.self) { try chain.rows(sql) }
        guard case .invalidQuery(let reason) = error else {
            Issue.record("\(sql): \(String(describing: error))")
            return
        }
        #expect(!reason.isEmpty && !reason.contains("\n"))
        #expect(try chain.number("SELECT count(*) FROM t") == 0)
    }

    @Test func queriesMayCallWhatStatementsMayNot() throws {
        #expect(
            try chain.number(
                "{main}SELECT date('now') > '2020-01-01' AND sin(0) = 0 AND typeof(random()) = 'integer'")
                == 1)
        #expect(try chain.number("SELECT count(*) FROM sqlite_master WHERE name = 'grants'") == 1)
    }

    @Test func limits() throws {
        let counting =
            "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c WHERE n < 100) SELECT n FROM c"
        func query(_ sql: String, _ limits: QueryLimits) throws -> QueryResult {
            try chain.application.query(sql, [], limits: limits)
        }
        #expect(try query(counting, QueryLimits(rows: 100)).rows.count == 100)
        #expect(throws: ExecutionError.queryLimit("the query yields more than 99 rows")) {
            try query(counting, QueryLimits(rows: 99))
        }
        // The columns are called `'abcd'` and `1`.
        #expect(try query("SELECT 'abcd', 1", QueryLimits(bytes: 19)).rows.count == 1)
        #expect(throws: ExecutionError.queryLimit("the query yields more than 18 bytes")) {
            try query("SELECT 'abcd', 1", QueryLimits(bytes: 18))
        }
        #expect(throws: ExecutionError.queryLimit("the query yields more than 99 values")) {
            try query(counting, QueryLimits(values: 99))
        }
        #expect(throws: ExecutionError.queryLimit("the query ran for longer than 0.05 seconds")) {
            try query(
                "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c",
                QueryLimits(time: .milliseconds(50)))
        }
        // The time is far off, but not that of the processor.
        #expect(throws: ExecutionError.queryLimit("the query ran for longer than 0.005 seconds")) {
            try query(
                "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c",
                QueryLimits(time: .seconds(100_000), processorTime: .milliseconds(5)))
        }
        // The connection remains usable.
        for _ in 0..<3 { #expect(try chain.number("SELECT 1") == 1) }
    }

    @Test func queriesRunAmidBlocks() throws {
        try chain.run("CREATE TABLE t (id INT PRIMARY KEY)")
        _ = try chain.execute([chain.statement("DROP TABLE t")])
        #expect(try chain.number("SELECT count(*) FROM t") == 0)
        try chain.application.commit()
        #expect(throws: ExecutionError.invalidQuery("no such table: t")) { try chain.rows("SELECT * FROM t") }
    }
}
