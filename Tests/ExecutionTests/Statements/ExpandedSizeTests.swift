import Bytes
import TestSupport
import Testing

@testable import Execution

/// The size of a statement is known before SQLite expands it.
@Suite struct ExpandedSizeTests {
    /// A view `v` of 100 tokens, and a table `t` of 10 tokens plus 1,000 where it is written.
    private func size(_ text: RawText) -> Int { expanded(text).tokens }

    private func expanded(_ text: RawText) -> ExpandedSize {
        ExpandedSize.of(text) {
            $0 == "v"
                ? ExpandedSize(tokens: 100, operators: 7, tables: 5)
                : $0 == "t" ? ExpandedSize(tokens: $1 ? 1_010 : 10, tables: 3) : nil
        }
    }

    @Test(arguments: [
        ("", 0), ("SELECT 1", 2), ("SELECT a FROM t", 14), ("SELECT a FROM v, v", 206),
        ("SELECT a FROM main.v", 106),
        ("SELECT a FROM \"v\"", 104), ("SELECT a FROM [V]", 104), ("SELECT a FROM 'v'", 104),
        ("SELECT x.v FROM t AS x", 18), ("SELECT v.a FROM t", 16), ("SELECT a IN v FROM t", 116),
        ("SELECT (SELECT (SELECT a FROM v)) -- v", 110), ("SELECT v, v AS v FROM t WHERE v = 1", 22),
        ("SELECT 1 FROM (v, (t JOIN v))", 222), ("SELECT 1 FROM t JOIN v ON x, v", 220),
        ("UPDATE OR IGNORE t SET v = 1", 1_018), ("UPDATE main.t SET v = 1", 1_018), ("DELETE FROM t", 1_013),
        ("DELETE FROM main.t", 1_015), ("INSERT INTO t SELECT a FROM t x, v WHERE y", 1_132),
        ("SELECT 1 FROM t AS \"where\", v", 118),
        ("SELECT * FROM t", 514), ("SELECT t.*, count(*), 2 * 3 FROM t", 525),
        ("SELECT DISTINCT * FROM t", 515),
    ])
    func namesCountWithWhatTheyStandFor(_ text: String, _ expected: Int) {
        #expect(size(RawText(text)) == expected)
    }

    /// The comparisons and tables that the planner combines.
    @Test(arguments: [
        ("SELECT 1", 0, 0), ("SELECT 1 FROM t WHERE a = 1 AND b <> 2", 4, 3), ("SELECT 1 FROM t, t", 1, 6),
        ("SELECT 1 FROM t JOIN v USING (a, b)", 9, 10), ("SELECT 1 FROM t NATURAL JOIN t", 500, 6),
        ("SELECT 1 FROM t WHERE (a, b, c) = (1, 2, 3)", 4, 3), ("INSERT INTO t VALUES (1, 2), (3, 4)", 0, 3),
        ("SELECT 1 FROM t WHERE a IN (1, 2, 3) OR b BETWEEN 1 AND 2", 4, 3),
        ("WITH c AS (SELECT 1 FROM t WHERE x > 1) SELECT 1 FROM c, c WHERE y LIKE z", 4, 8),
        ("SELECT 1 FROM json_each('[]')", 0, 2),
    ])
    func comparisonsCountWithTables(_ text: String, _ operators: Int, _ tables: Int) {
        let size = expanded(RawText(text))
        #expect([size.operators, size.tables] == [operators, tables])
    }

    @Test(arguments: [
        // Each definition counts once, and again at each use.
        ("WITH c AS (SELECT 1) SELECT 2", 9), ("WITH c AS (SELECT 1) SELECT a FROM c", 13),
        ("WITH c AS (SELECT 1) SELECT a FROM c, c", 17),
        ("WITH c(x) AS (SELECT a FROM v) SELECT x FROM c", 120),
        // Earlier expressions see later ones, and a column of another table is not an expression.
        ("WITH a AS (SELECT x FROM b), b AS (SELECT 1) SELECT y FROM a", 26),
        ("WITH c AS (SELECT 1) SELECT t.c FROM t", 23),
        // An inner expression hides an outer one and a view.
        ("WITH v AS (SELECT 1) SELECT a FROM v", 13),
        ("WITH c AS (SELECT a FROM v) SELECT a FROM (WITH c AS (SELECT 1) SELECT a FROM c)", 27),
        ("SELECT a FROM (WITH v AS (SELECT 1) SELECT a FROM v), v", 120),
        // Recursion does not count as a use.
        ("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n FROM c) SELECT n FROM c", 29),
        ("WITH c AS NOT MATERIALIZED (SELECT 1), d AS MATERIALIZED (SELECT a FROM c) SELECT 1 FROM d, d", 37),
        // Not a WITH clause.
        ("SELECT with FROM t", 14), ("WITH c AS SELECT 1", 5), ("WITH c AS (SELECT 1", 7), ("WITH", 1),
    ])
    func expressionsCountWhereTheyAreUsed(_ text: String, _ expected: Int) {
        #expect(size(RawText(text)) == expected)
    }

    /// Statements of this size would end the process or take minutes.
    @Test(arguments: [
        ("doubling", 30), ("doubling", 20_000), ("nested", 100_000), ("nestedUses", 10_000), ("wide", 60_000),
    ])
    func whatGrowsIsTooLarge(_ kind: String, _ count: Int) {
        let text =
            switch kind {
            case "doubling":
                "WITH c0(x) AS (SELECT 1)"
                    + (1...count).map { ", c\($0)(x) AS (SELECT 1 FROM c\($0 - 1), c\($0 - 1))" }.joined()
                    + " SELECT 1 FROM c\(count)"
            case "nested":
                String(repeating: "(", count: count) + "SELECT 1" + String(repeating: ")", count: count)
            case "nestedUses":
                (1...count).map { "WITH c\($0) AS (SELECT 1 FROM c\($0 - 1)) SELECT 1 FROM (" }.joined()
                    + "c\(count)"
            default: "SELECT 1 FROM v" + String(repeating: ", v", count: count)
            }
        #expect(size(RawText(text)) > ExpandedSize.limit)
    }

    /// Unusual syntax cannot hide the use of a view.
    @Test(arguments: [
        ("SELECT 1 FROM \u{FEFF}v, \u{FEFF}\u{FEFF}v", 206), ("SELECT 1 FROM t JOIN t ON :where, v", 130),
        ("SELECT 1 FROM t JOIN t ON @a::limit(set), v", 130),
        ("SELECT $a('), 1 FROM v, v, v WHERE $b(')", 312),
        ("SELECT $a(x) FROM v", 104),
    ])
    func nothingHidesAUse(_ text: String, _ expected: Int) {
        #expect(size(RawText(text)) == expected)
    }

    @Test(arguments: ["\u{FEFF}ROLLBACK INTO t VALUES (1)", "ROLLBACK INTO t VALUES ($a(')), ($b('))"])
    func nothingHidesARollback(_ rest: String) {
        for start in ["", "WITH c AS (SELECT $c(')) "] {
            #expect(throws: StatementFault.self) {
                try StatementText(RawText("\(start)INSERT OR \(rest)"), for: .statement)
            }
        }
    }

    @Test func bulkInsertsFit() {
        let rows = (0..<5_000).map { "(\($0), 'row \($0)', 1.5, NULL)" }.joined(separator: ", ")
        #expect(size(RawText("INSERT INTO t VALUES \(rows)")) < ExpandedSize.limit)
    }
}

/// The same with a database.
@Suite struct SchemaSizesTests {
    let directory: TemporaryDirectory
    let chain: ApplicationChain

    init() throws {
        directory = try TemporaryDirectory()
        chain = try ApplicationChain(try directory.open())
    }

    /// A view that uses another one `times` times.
    private func view(_ name: String, of other: String, times: Int = 50) -> String {
        "CREATE VIEW \(name) AS "
            + Array(repeating: "SELECT x FROM \(other)", count: times).joined(separator: " UNION ALL ")
    }

    @Test func viewsOnViewsAreBounded() throws {
        #expect(try chain.run("CREATE VIEW a AS SELECT 1 AS x").isOK)
        #expect(try chain.run(view("b", of: "a")).isOK)
        let refused = try chain.run(view("c", of: "b"))
        #expect(refused.isOK == false && refused.log.contains("tokens"), "\(refused.log)")
        // Built from the top down, so the last view makes the others too large.
        #expect(try chain.run(view("e", of: "f", times: 20)).isOK)
        #expect(try chain.run(view("f", of: "g")).isOK)
        #expect(try chain.run(view("g", of: "h")).isOK == false)
        #expect(try chain.run("CREATE VIEW g AS SELECT 1 AS x").isOK)
        #expect(try chain.number("SELECT count(*) FROM e") == 1_000)
    }

    @Test func circlesAreRefused() throws {
        #expect(try chain.run("CREATE VIEW a AS SELECT x FROM b").isOK)
        for sql in ["CREATE VIEW b AS SELECT x FROM a", "CREATE VIEW c AS SELECT x FROM c"] {
            let log = try chain.run(sql).log
            #expect(log.contains("uses itself"), "\(log)")
        }
        // Columns with the names of views do not make a circle.
        #expect(try chain.run("CREATE VIEW b AS SELECT 1 AS a, 2 AS b, 3 AS x").isOK)
        #expect(try chain.number("SELECT x FROM a") == 3)
    }

    @Test func aDeepChainOfViewsIsRefused() throws {
        #expect(try chain.run("CREATE VIEW v0 AS SELECT 1 AS x").isOK)
        var depth = 0
        while depth < 100, try chain.run("CREATE VIEW v\(depth + 1) AS SELECT x FROM v\(depth)").isOK {
            depth += 1
        }
        #expect(depth == 49)
        #expect(try chain.number("SELECT x FROM v49") == 1)
    }

    @Test func statementsAndQueriesAreBounded() throws {
        #expect(try chain.run("CREATE TABLE t (id INTEGER PRIMARY KEY)").isOK)
        #expect(try chain.run("CREATE VIEW a AS SELECT 1 AS x").isOK)
        #expect(try chain.run(view("b", of: "a")).isOK)
        let uses = Array(repeating: "SELECT x FROM b", count: 50).joined(separator: " UNION ALL ")
        let query = "SELECT count(*) FROM (\(uses)) AS p, (\(uses)) AS q, (\(uses)) AS r, (\(uses)) AS s"
        #expect(try chain.run("INSERT INTO t \(query)").log.contains("tokens"))
        #expect(throws: ExecutionError.self) { try chain.rows(query) }
        let chained = (1...25).map { ", c\($0)(x) AS (SELECT p.x + q.x FROM c\($0 - 1) p, c\($0 - 1) q)" }
            .joined()
        #expect(
            try chain.run("WITH c0(x) AS (SELECT 1)\(chained) INSERT INTO t SELECT x FROM c25").log.contains(
                "tokens"))
        #expect(throws: ExecutionError.self) {
            try chain.rows("WITH c0(x) AS (SELECT 1)\(chained) SELECT x FROM c25")
        }
        // Queries see a view that was just committed.
        #expect(try chain.run("DROP VIEW b").isOK)
        #expect(throws: ExecutionError.self) { try chain.rows("SELECT x FROM b") }
        #expect(try chain.run("CREATE VIEW b AS SELECT 7 AS x").isOK)
        #expect(try chain.number("SELECT x FROM b") == 7)
    }

    @Test func tablesOfManyIndexesAreBounded() throws {
        let columns = (0..<200).map { "c\($0)" }.joined(separator: ", ")
        #expect(try chain.run("CREATE TABLE t (id INTEGER PRIMARY KEY, \(columns))").isOK)
        var count = 0
        while count < 100, try chain.run("CREATE INDEX i\(count) ON t (\(columns))").isOK { count += 1 }
        #expect(count == 48)
        #expect(try chain.run("INSERT INTO t (id) VALUES (1)").isOK)
    }

    /// A write compiles the actions of all tables whose foreign keys lead to the written table, even in circles.
    @Test func foreignKeysCountWhereTheyAct() throws {
        let connection = try SQLiteConnection(path: ":memory:", access: .readWrite)
        try connection.execute(
            """
            CREATE TABLE a (id INTEGER PRIMARY KEY);
            CREATE TABLE b (id INTEGER PRIMARY KEY, a INT REFERENCES "A" ON DELETE CASCADE);
            CREATE TABLE c (id INTEGER PRIMARY KEY, b INT, c INT REFERENCES c, FOREIGN KEY (b) REFERENCES b);
            CREATE INDEX i ON c (b);
            """)
        let sizes = try SchemaSizes(connection)
        func sum(_ names: RawText...) -> ExpandedSize {
            names.compactMap(sizes.size).reduce(into: ExpandedSize()) { $0 += $1 }
        }
        #expect(["a", "b", "c"].map { sum($0).tokens } == [9, 17, 33] && sum("a", "c").tables == 3)
        #expect(sizes.writtenSize("a") == sum("a", "b", "c") && sizes.writtenSize("b") == sum("b", "c"))
        #expect(sizes.writtenSize("c") == sum("c") && sizes.writtenSize("d") == nil)
        #expect(sizes.indexes(of: "c") == 1 && sizes.indexes(of: "a") == 0)
    }
}
