import Chain
import TestSupport
import Testing

@testable import Execution

/// What statements from outside may not do, one row for each attempt.
@Suite struct StatementPolicyTests {
    let directory: TemporaryDirectory
    let chain: ApplicationChain

    init() throws {
        directory = try TemporaryDirectory()
        chain = try ApplicationChain(try directory.open())
        try chain.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
        try chain.run("INSERT INTO t VALUES (1, 'one')")
    }

    /// Runs a statement between two others that it must not affect.
    private func attempt(_ sql: String) throws -> TransactionResult {
        let schema = try chain.rows("SELECT type, name, sql FROM sqlite_master ORDER BY rowid")
        let results = try chain.commit([
            chain.statement("UPDATE t SET a = 'before'"), chain.statement(sql),
            chain.statement("REPLACE INTO t VALUES (2, 'after')"),
        ]).results
        #expect(results[0].isOK && results[2].isOK, "\(sql) disturbed others: \(results)")
        #expect(
            try chain.rows("SELECT * FROM t ORDER BY id") == [
                [.int8(1), .text("before")], [.int8(2), .text("after")],
            ])
        #expect(try chain.rows("SELECT type, name, sql FROM sqlite_master ORDER BY rowid") == schema)
        return results[1]
    }

    @Test(arguments: [
        "random()", "randomblob(4)", "date('now')", "date('2024-01-01')", "time('now')", "datetime('now')",
        "julianday('now')", "unixepoch()", "strftime('%s')", "current_date", "current_time",
        "CURRENT_TIMESTAMP",
        "changes()", "total_changes()", "last_insert_rowid()", "sqlite_version()", "sqlite_source_id()",
        "sqlite_compileoption_used('x')", "sqlite_compileoption_get(0)", "sqlite_log(1, 'x')",
        "load_extension('/tmp/x')", "sin(1)", "cos(1)", "exp(1)", "pow(2, 3)", "ln(2)", "log(2)", "tanh(1)",
        "fts3_tokenizer('simple')", "sqlite_rename_test(1,2,3,4,5,6,7)",
    ]) func refusesFunction(_ call: String) throws {
        for sql in [
            "UPDATE t SET a = \(call)", "INSERT INTO t VALUES (7, \(call))",
            "DELETE FROM t WHERE a = \(call)",
            "WITH c(x) AS (SELECT \(call)) INSERT INTO t SELECT 7, x FROM c",
            "INSERT INTO t VALUES (1, 'x') ON CONFLICT DO UPDATE SET a = \(call)",
            "INSERT INTO t VALUES (7, 'x') RETURNING \(call)",
            "CREATE TABLE u (id INTEGER PRIMARY KEY, a TEXT DEFAULT (\(call)))",
            "CREATE TABLE u (id INTEGER PRIMARY KEY, a TEXT CHECK (a <> \(call)))",
            "CREATE INDEX i ON t (a, \(call))", "CREATE INDEX i ON t (a) WHERE a <> \(call)",
            "ALTER TABLE t ADD COLUMN b TEXT DEFAULT (\(call))", "SELECT \(call)",
        ] {
            let result = try chain.execute([chain.statement(sql)]).results[0]
            #expect(!result.isOK, "\(sql)")
            try chain.rollback()
        }
    }

    @Test(arguments: ["CURRENT_TIMESTAMP", "CURRENT_DATE", "current_time"]) func refusesDefault(
        _ keyword: String
    ) throws {
        let result = try attempt("CREATE TABLE u (id INTEGER PRIMARY KEY, a TEXT DEFAULT \(keyword))")
        #expect(result.log.contains("the default of u.a is not allowed"))
        #expect(try attempt("ALTER TABLE t ADD COLUMN b TEXT DEFAULT \(keyword)").isOK == false)
    }

    @Test(arguments: [
        "PRAGMA user_version = 7", "PRAGMA foreign_keys = OFF", "PRAGMA journal_mode",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM pragma_table_info('t')", "INSERT INTO t SELECT 9, file FROM pragma_database_list",
        "ATTACH DATABASE '/tmp/apus-attached.sqlite' AS other", "DETACH DATABASE main", "VACUUM",
        "VACUUM INTO '/tmp/apus-vacuumed.sqlite'", "ANALYZE", "REINDEX", "REINDEX t",
        "BEGIN", "BEGIN IMMEDIATE", "COMMIT", "END", "ROLLBACK", "SAVEPOINT s", "RELEASE apus_transaction",
        "ROLLBACK TO apus_transaction", "EXPLAIN INSERT INTO t VALUES (9, 'x')",
        "EXPLAIN QUERY PLAN SELECT 1",
        "INSERT OR ROLLBACK INTO t VALUES (1, 'x')", "UPDATE OR/**/rollback t SET id = 1",
        "CREATE TABLE u (id INTEGER PRIMARY KEY, a UNIQUE ON CONFLICT ROLLBACK)",
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END",
        "CREATE TEMP TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END",
        "CREATE TEMP TABLE u (id INTEGER PRIMARY KEY)", "CREATE TABLE temp.u (id INTEGER PRIMARY KEY)",
        "CREATE TEMP VIEW v AS SELECT 1", "CREATE VIRTUAL TABLE f USING fts5(x)",
        "CREATE VIRTUAL TABLE f USING rtree(a,b,c)",
        "CREATE TABLE u AS SELECT * FROM t", "CREATE TABLE u (a TEXT)",
        "CREATE TABLE apus_x (id INTEGER PRIMARY KEY)",
        "CREATE TABLE \"APUS_X\" (id INTEGER PRIMARY KEY)", "CREATE VIEW apus_v AS SELECT 1",
        "CREATE INDEX apus_i ON t (a)", "CREATE INDEX i ON apus_accounts (balance)",
        "ALTER TABLE t RENAME TO apus_t",
        "ALTER TABLE apus_state RENAME TO s", "DROP TABLE apus_state", "DROP TABLE grants",
        "ALTER TABLE grants ADD COLUMN x",
        "CREATE INDEX i ON grants (identifier)", "DROP TABLE sqlite_master",
        "INSERT INTO apus_accounts VALUES (x'00', 1, '5', 0)", "UPDATE apus_accounts SET balance = '1000'",
        "DELETE FROM apus_accounts", "UPDATE \"Apus_State\" SET height = 0",
        "INSERT INTO t SELECT 9, balance FROM apus_accounts",
        "WITH t2 AS (SELECT * FROM apus_state) INSERT INTO t SELECT 9, height FROM t2",
        "INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 0, '')", "UPDATE sqlite_schema SET sql = ''",
        "INSERT INTO t SELECT 9, sql FROM sqlite_master",
        "INSERT INTO t SELECT 9, sql FROM sqlite_temp_schema",
        "INSERT INTO t SELECT 9, sql FROM sqlite_stmt", "INSERT INTO t SELECT 9, name FROM dbstat",
        "INSERT INTO t SELECT 9, token FROM fts3tokenize('simple', 'x')",
        "CREATE TABLE u (id INTEGER PRIMARY KEY, b TEXT REFERENCES apus_accounts (balance))",
        "CREATE TABLE u (id INT, b INT, PRIMARY KEY (id), FOREIGN KEY (b) REFERENCES Apus_State (id))",
        "ALTER TABLE t ADD COLUMN b INT REFERENCES apus_state (height)",
        "CREATE TABLE u (id INTEGER PRIMARY KEY, b AS (id + 1))",
        "CREATE TABLE u (id INTEGER PRIMARY KEY, b INT GENERATED ALWAYS AS (id) STORED)",
        "CREATE TABLE u (id INTEGER PRIMARY KEY, _rowid_ TEXT)",
        "CREATE TABLE u (a TEXT, _ROWID_ INTEGER PRIMARY KEY)",
        "ALTER TABLE t ADD COLUMN _rowid_ TEXT",
        "INSERT INTO t VALUES (9, 'x'); DROP TABLE t", "INSERT INTO t VALUES (9, 'x');;SELECT 1", "", " ;",
        "-- nothing",
        "{other}INSERT INTO t VALUES (9, 'x')", "{main INSERT INTO t VALUES (9, 'x')",
        "{}INSERT INTO t VALUES (9, 'x')",
        "INSERT INTO other.t VALUES (9, 'x')", "INSERT INTO t VALUES (9, ?)",
        "INSERT INTO t VALUES (9, $missing)",
        "INSERT INTO t VALUES (9, 'x')\0", "INSERT INTO missing VALUES (1)",
        "INSERT INTO t VALUES (1, 'duplicate')",
        "nonsense", "INSERT INTO t VALUES (9, \"x\")",
    ]) func refusesStatement(_ sql: String) throws {
        let result = try attempt(sql)
        #expect(!result.isOK && !result.log.isEmpty && !result.log.contains("\n"))
    }

    @Test func parametersAreNeverSpliced() throws {
        let hostile = "x'); DROP TABLE t; --"
        #expect(
            try chain.run("INSERT INTO t VALUES ($id, $a)", [("$id", .int8(2)), ("$a", .text(hostile))]).isOK)
        #expect(try chain.rows("SELECT a FROM t WHERE a = $a", ["$a": .text(hostile)]) == [[.text(hostile)]])
        #expect(try chain.rows("SELECT a FROM t WHERE a = $a", ["a": .text("' OR 1=1 --")]).isEmpty)
    }

    @Test(arguments: [
        "INSERT INTO t SELECT 9, group_concat(value) FROM json_each('[1,2]')",
        "INSERT INTO t VALUES (9, upper(trim(' x ')) || char(65)) RETURNING id",
        "UPDATE t SET a = (SELECT count(*) FROM t AS u WHERE u.id <= t.id)",
        "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c WHERE n < 5) INSERT INTO t SELECT n + 10, n FROM c",
        "REPLACE INTO t VALUES (1, 'x') -- comment ; here", "DELETE FROM t WHERE a LIKE 'o%' ; /* ; */ ",
        "INSERT INTO main.t VALUES (9, json_object('a', 1) ->> 'a')", "{MAIN}SELECT * FROM t",
        "CREATE TABLE u (id INTEGER PRIMARY KEY, a TEXT DEFAULT 'x', b DEFAULT (1 + 2), c DEFAULT NULL)",
        "CREATE TABLE \"we\"\"ird\" (\"a b\" TEXT, [c)d] INT, `e` BLOB, PRIMARY KEY (\"a b\", [c)d]))",
        "CREATE TABLE u (a TEXT /* ) */ PRIMARY KEY -- )\n)", "CREATE TABLE u (id UUID PRIMARY KEY) STRICT",
        "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY)",
        "CREATE INDEX i ON t (lower(a)) WHERE a <> ''",
        "CREATE VIEW v AS SELECT * FROM t", "DROP TABLE t", "ALTER TABLE t RENAME TO u",
        "ALTER TABLE t RENAME COLUMN a TO b",
        "ALTER TABLE t ADD COLUMN b TEXT DEFAULT 'x'", "ALTER TABLE t DROP COLUMN a",
        "CREATE TABLE u (id INT, t INT REFERENCES t (id) ON DELETE CASCADE, PRIMARY KEY (id)) WITHOUT ROWID",
    ]) func allowsStatement(_ sql: String) throws {
        let result = try chain.run(sql)
        // STRICT tables have no type UUID.
        #expect(result.isOK != sql.contains("STRICT"), "\(result.log)")
    }

    @Test func jsonFunctionsOutliveSchemaChanges() throws {
        _ = try chain.execute([chain.statement("DROP TABLE t"), chain.statement("nonsense")])
        try chain.rollback()
        #expect(try chain.run("INSERT INTO t SELECT 9, fullkey FROM json_tree('1')").isOK)
        #expect(try chain.run("ALTER TABLE t RENAME TO u").isOK)
        #expect(try chain.run("INSERT INTO u SELECT 10, value FROM json_each('[1]')").isOK)
    }

    @Test func aliasesOfForbiddenThingsStayForbidden() throws {
        // The policy checks a view's body when the view is used.
        #expect(try chain.run("CREATE VIEW v AS SELECT random() AS r").isOK)
        #expect(try attempt("INSERT INTO t SELECT 9, r FROM v").log.contains("random"))
        #expect(try chain.run("CREATE VIEW w AS SELECT balance AS r FROM apus_accounts").isOK)
        #expect(try attempt("DELETE FROM t WHERE a IN (SELECT r FROM w)").isOK == false)
    }
}
