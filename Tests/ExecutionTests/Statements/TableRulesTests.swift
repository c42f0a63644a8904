import Chain
import TestSupport
import Testing

@testable import Execution

/// The app hash covers every row.
@Suite struct TableRulesTests {
    let directory: TemporaryDirectory
    let chain: ApplicationChain

    init() throws {
        directory = try TemporaryDirectory()
        chain = try ApplicationChain(try directory.open())
    }

    @Test(arguments: [
        "a TEXT PRIMARY KEY, b INT", "a INT PRIMARY KEY, b INT", "a BLOB, b INT, PRIMARY KEY (a, b)",
        "a INTEGER PRIMARY KEY DESC, b INT", "a TEXT, b INT, CONSTRAINT p PRIMARY KEY (b, a)",
    ]) func primaryKeysHoldNoNull(_ columns: String) throws {
        #expect(try chain.run("CREATE TABLE t (\(columns))").isOK)
        for sql in [
            "INSERT INTO t VALUES (NULL, NULL)", "INSERT INTO t DEFAULT VALUES",
            "INSERT OR REPLACE INTO t VALUES (NULL, NULL)",
        ] {
            let result = try chain.run(sql)
            #expect(!result.isOK)
            #expect(result.log == "CHECK constraint failed: primary key must not be NULL")
        }
        #expect(try chain.run("INSERT INTO t VALUES (1, 1)").isOK)
        #expect(try chain.run("UPDATE t SET a = NULL, b = NULL").isOK == false)
        #expect(try chain.run("INSERT OR IGNORE INTO t VALUES (NULL, NULL)").isOK)
        #expect(try chain.number("SELECT count(*) FROM t") == 1)
    }

    @Test func rowIDsStayOutOfTheRandomRange() throws {
        #expect(try chain.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)").isOK)
        #expect(try chain.run("CREATE TABLE u (k TEXT PRIMARY KEY)").isOK)
        for sql in [
            "INSERT INTO t VALUES (9223372036854775807, 'x')",
            "INSERT INTO u (rowid, k) VALUES (9223372036854775807, 'x')",
        ] {
            #expect(try chain.run(sql).log == "CHECK constraint failed: row ID is too large")
        }
        // Row IDs after the maximum are refused, not random.
        #expect(try chain.run("INSERT INTO t VALUES (9223372036854775806, 'x')").isOK)
        #expect(try chain.run("INSERT INTO t (a) VALUES ('y')").isOK == false)
        #expect(try chain.run("UPDATE t SET id = id + 1").isOK == false)
        #expect(try chain.run("INSERT INTO u (oid, k) VALUES (9223372036854775806, 'x')").isOK)
        #expect(try chain.run("UPDATE u SET _rowid_ = rowid + 1").isOK == false)
        #expect(try chain.run("INSERT INTO u VALUES ('y')").isOK == false)
        // NULL still requests the next row ID.
        #expect(try chain.run("DELETE FROM t").isOK)
        #expect(try chain.run("INSERT INTO t VALUES (NULL, 'x')").isOK)
        #expect(try chain.number("SELECT id FROM t") == 1)
    }

    /// SQLite would report a damaged database, on every node, if the meaning of an index could change with the columns
    /// or with the origin of a value.
    @Test(arguments: [
        ["CREATE TABLE t (id INT PRIMARY KEY, a TEXT, ROWID INT)"],
        ["CREATE TABLE t (id INT PRIMARY KEY, a TEXT, \"oid\" INT)"],
        ["CREATE TABLE t (id INT PRIMARY KEY, a TEXT)", "CREATE INDEX i ON t (a) WHERE rowid > 5"]
            + ["ALTER TABLE t ADD COLUMN rowid INT DEFAULT 0"],
        ["CREATE TABLE t (id INT PRIMARY KEY, a TEXT, b INT)", "CREATE INDEX i ON t (a) WHERE true"]
            + ["ALTER TABLE t RENAME COLUMN b TO \"True\""],
        ["CREATE TABLE t (id INT PRIMARY KEY, a TEXT)", "CREATE INDEX i ON t (subtype(a))"],
        ["CREATE TABLE t (id INT PRIMARY KEY, a TEXT)", "CREATE INDEX i ON t (json_array(a))"],
        ["CREATE TABLE t (id INT PRIMARY KEY, a TEXT)"]
            + ["CREATE INDEX i ON t (a) WHERE json_set('{}', '$.a', a) = '{\"a\":\"[1]\"}'"],
    ]) func indexesStayTrue(_ statements: [String]) throws {
        for sql in statements.dropLast() { #expect(try chain.run(sql).isOK, "\(sql)") }
        let last = try #require(statements.last)
        let log = try chain.run(last).log
        #expect(log.contains(#/is reserved|is not allowed|unsafe use/#), "\(log)")
        if statements.count == 1 { return }
        #expect(try chain.run("INSERT INTO t (id, a) VALUES (1, json('[1]'))").isOK)
        #expect(try chain.run("DELETE FROM t").isOK)
    }

    /// Rows older than a column read its default from the schema, and an index created then keeps it as a key.
    @Test(arguments: [
        ("TEXT", "true"), ("VARCHAR(3)", "(FALSE)"), ("text", "(+ /**/True)"), ("REAL", "9007199254740993"),
        ("DOUBLE", "(-'9223372036854775807')"), ("FLOAT", "(CAST(1e300 AS INTEGER))"),
    ]) func defaultsReadAsTheyAreStored(_ type: String, _ value: String) throws {
        #expect(try chain.run("CREATE TABLE t (id INT PRIMARY KEY, a TEXT)").isOK)
        #expect(try chain.run("INSERT INTO t VALUES (1, 'x')").isOK)
        let log = try chain.run("ALTER TABLE t ADD COLUMN b \(type) DEFAULT \(value)").log
        #expect(log.hasPrefix("the default of t.b is not allowed"), "\(log)")
    }

    @Test(arguments: [
        ("TEXT", "'true'"), ("TEXT", "1"), ("BOOL", "true"), ("INT", "9223372036854775807"), ("REAL", "1.5"),
        ("REAL", "999999999999999"), ("REAL", "0.12345678901234567"), ("\"CHARINT\"", "true"), ("", "true"),
        ("NUMERIC", "9223372036854775808"), ("BLOB", "true"),
    ]) func otherDefaultsOutliveAnIndex(_ type: String, _ value: String) throws {
        #expect(try chain.run("CREATE TABLE t (id INT PRIMARY KEY, a TEXT)").isOK)
        #expect(try chain.run("INSERT INTO t VALUES (1, 'x')").isOK)
        for sql in [
            "ALTER TABLE t ADD COLUMN b \(type) DEFAULT \(value)", "CREATE INDEX i ON t (b)",
            "UPDATE t SET a = 'y'", "DELETE FROM t WHERE id = 1",
        ] {
            let result = try chain.run(sql)
            #expect(result.isOK, "\(sql): \(result.log)")
        }
    }

    @Test func rowIDLimitSurvivesAlterations() throws {
        #expect(try chain.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT)").isOK)
        for sql in [
            "ALTER TABLE t RENAME COLUMN id TO k", "ALTER TABLE t DROP COLUMN b", "ALTER TABLE t RENAME TO u",
            "ALTER TABLE u ADD COLUMN row_id TEXT",
        ] {
            #expect(try chain.run(sql).isOK, "\(sql)")
        }
        #expect(try chain.run("INSERT INTO u (k) VALUES (9223372036854775807)").isOK == false)
        #expect(try chain.run("INSERT INTO u (k) VALUES (1)").isOK)
    }

    @Test func autoincrementIsRefused() throws {
        for sql in [
            "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT)",
            "CREATE TABLE t (id INTEGER PRIMARY KEY ON CONFLICT REPLACE /**/ autoIncrement NOT NULL)",
        ] {
            #expect(try chain.run(sql).log.hasPrefix("AUTOINCREMENT is not allowed"))
        }
        #expect(try chain.run("CREATE TABLE \"AUTOINCREMENT\" (\"autoincrement\" INTEGER PRIMARY KEY)").isOK)
        #expect(try chain.number("SELECT count(*) FROM \"autoincrement\"") == 0)
        // The statement that left the greatest row ID behind.
        #expect(try chain.run("CREATE TABLE u (id INTEGER PRIMARY KEY, v TEXT)").isOK)
        #expect(try chain.run("INSERT OR IGNORE INTO u VALUES (9223372036854775807, 'x')").isOK)
        #expect(try chain.run("INSERT INTO u (v) VALUES ('y')").isOK)
        #expect(try chain.rows("SELECT id, v FROM u") == [[.int8(1), .text("y")]])
    }

    /// SQLite folds the case of ASCII letters only.
    @Test(arguments: ["Ämter", "Ключи", "Σίσυφος", "İstanbul", "ﬀ", "ǅ", "ẞ", "Tabelle", "e\u{301}"])
    func tablesOfEveryScriptGetTheirConstraints(_ name: String) throws {
        #expect(try chain.run("CREATE TABLE \"\(name)\" (k TEXT PRIMARY KEY, v TEXT)").isOK)
        #expect(try chain.run("INSERT INTO \"\(name)\" VALUES (NULL, 'z')").isOK == false)
        #expect(
            try chain.run("INSERT INTO \"\(name)\" (rowid, k) VALUES (9223372036854775807, 'x')").isOK
                == false)
        #expect(try chain.run("INSERT INTO \"\(name)\" VALUES ('k', 'z')").isOK)
        #expect(try chain.run("ALTER TABLE \"\(name)\" ADD COLUMN \"\(name)2\" TEXT").isOK)
        #expect(try chain.run("DROP TABLE \"\(name)\"").isOK)
    }

    @Test func foreignKeysHold() throws {
        try chain.run("CREATE TABLE p (id INT PRIMARY KEY)")
        try chain.run("CREATE TABLE c (id INT PRIMARY KEY, p INT REFERENCES p (id) ON DELETE CASCADE)")
        try chain.run(
            "CREATE TABLE d (id INT PRIMARY KEY, p INT REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)")
        #expect(try chain.run("INSERT INTO c VALUES (1, 1)").log == "FOREIGN KEY constraint failed")
        // A deferred foreign key must not make the block's commit fail.
        #expect(try chain.run("INSERT INTO d VALUES (1, 1)").log == "FOREIGN KEY constraint failed")
        #expect(try chain.run("INSERT INTO p VALUES (1)").isOK)
        #expect(try chain.run("INSERT INTO c VALUES (1, 1)").isOK)
        #expect(try chain.run("DELETE FROM p").isOK)
        #expect(try chain.number("SELECT count(*) FROM c") == 0)
        #expect(try chain.run("INSERT INTO p VALUES (1)").isOK)
        #expect(try chain.run("INSERT INTO d VALUES (1, 1)").isOK)
        #expect(try chain.run("DROP TABLE p").isOK == false)
        #expect(try chain.number("SELECT count(*) FROM p") == 1)
    }

    @Test func everyKindOfTableIsRecorded() throws {
        for columns in [
            "(k TEXT PRIMARY KEY)", "(k TEXT PRIMARY KEY) WITHOUT ROWID", "(k TEXT PRIMARY KEY) STRICT",
            "(k INTEGER PRIMARY KEY)",
        ] {
            try chain.run("CREATE TABLE t \(columns)")
            let empty = try chain.execute([chain.statement("INSERT INTO t SELECT 1 WHERE 0")])
            try chain.rollback()
            let one = try chain.execute([chain.statement("INSERT INTO t SELECT 1 WHERE 1")])
            try chain.rollback()
            #expect(one.results == empty.results)
            #expect(one.appHash != empty.appHash, "\(columns)")
            try chain.run("DROP TABLE t")
        }
    }
}
