import Bytes
import CShims
import Chain
import Crypto
import TestSupport
import Testing

@testable import Execution

/// The same blocks give the same app hashes: in other databases, in other runs, after a restart.
@Suite struct DeterminismTests {
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    /// Blocks that touch everything the hash covers: rows inserted, updated and deleted in several tables, failures,
    /// schema changes between rows, foreign keys, an overrun, transfers.
    private func blocks(_ chain: ApplicationChain) throws -> [[Transaction]] {
        var blocks: [[Transaction]] = []
        blocks.append([
            try chain.statement("CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT, x REAL)"),
            try chain.statement("INSERT INTO a (name, x) VALUES ('early', 0.1)"),
            try chain.statement("CREATE TABLE b (k TEXT PRIMARY KEY, a INT REFERENCES a ON DELETE CASCADE)"),
            try chain.statement("CREATE INDEX b_a ON b (a)"),
            try chain.statement("INSERT INTO b SELECT name, id FROM a"),
        ])
        var rows: [Transaction] = []
        for index in 0..<200 {
            rows.append(
                try chain.statement(
                    "INSERT INTO a (name, x) VALUES ($n, $x)",
                    [("$n", .text("row \(index)")), ("$x", .int8(Int64(index * index)))]))
            if index % 7 == 0 {
                rows.append(try chain.statement("INSERT INTO a (id, name) VALUES (1, 'taken')"))
            }
            if index % 11 == 0 { rows.append(try chain.statement("UPDATE a SET x = x / 3 WHERE id % 5 = 0")) }
        }
        blocks.append(rows)
        blocks.append([
            try chain.statement("INSERT INTO b SELECT 'b' || id, id FROM a WHERE id > 3 ORDER BY x"),
            try chain.statement("ALTER TABLE a ADD COLUMN y TEXT DEFAULT 'none'"),
            try chain.statement("UPDATE a SET y = name WHERE id < 20"),
            try chain.statement("ALTER TABLE b ADD COLUMN z INT"),
            try chain.statement("DELETE FROM a WHERE id BETWEEN 5 AND 60"),
            try chain.statement("CREATE TABLE b (k TEXT PRIMARY KEY)"),
            try chain.transaction(.transfer(to: AccountID(chain.stranger.publicKey), amount: 25)),
        ])
        blocks.append([])
        blocks.append([
            try chain.statement("DELETE FROM b"),
            try chain.statement(Self.writingBomb),
            try chain.statement("INSERT INTO b (k) VALUES ('after the bomb')"),
            try chain.transaction(
                .transfer(to: AccountID(chain.owner.publicKey), amount: 1), by: chain.stranger),
        ])
        blocks.append([
            try chain.statement("DROP TABLE a"), try chain.statement("INSERT INTO b (k) VALUES ('last')"),
        ])
        return blocks
    }

    static let writingBomb = """
        WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c) INSERT INTO b (k) SELECT n FROM c
        """

    /// Caches, tables and lists of names distinguish texts that are canonically equivalent in Unicode.
    @Test(arguments: [false, true])
    func canonicallyEquivalentTextsAreTwo(restarts: Bool) throws {
        var chain = try ApplicationChain(try directory.open("a"))
        #expect(try chain.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)").isOK)
        for (index, text) in ["\u{E9}", "e\u{301}", "\u{212B}", "\u{C5}", "A\u{30A}"].enumerated() {
            if restarts { chain = try ApplicationChain(try directory.open("a")) }
            #expect(try chain.run("INSERT INTO t (v) VALUES ('\(text)')").isOK)
            #expect(
                try chain.rows("SELECT hex(v) FROM t WHERE id = \(index + 1)")
                    == [[.text(Hex.encode(Array(text.utf8)).uppercased())]])
        }
        #expect(
            try chain.run(
                "INSERT INTO t VALUES (10, $\u{E9}), (11, $e\u{301})",
                [
                    ("$\u{E9}", .text("one")), ("$e\u{301}", .text("two")),
                ]
            ).isOK)
        #expect(
            try chain.rows("SELECT v FROM t WHERE id > 9 ORDER BY id") == [[.text("one")], [.text("two")]])
        #expect(try chain.run("CREATE TABLE \"\u{E9}\" (id INTEGER PRIMARY KEY)").isOK)
        #expect(try chain.run("CREATE TABLE \"e\u{301}\" (id INTEGER PRIMARY KEY)").isOK)
    }

    @Test func twoDatabasesAgree() throws {
        let first = try ApplicationChain(try directory.open("first"), balances: [(1, 100)])
        let blocks = try blocks(first)
        var results: [ExecutionResult] = []
        for block in blocks { results.append(try first.commit(block)) }
        #expect(results[2].results.map(\.isOK) == [true, true, true, true, true, false, true])
        #expect(results[4].results.map(\.isOK) == [true, false, true, true])

        // The second database is reopened before each block and executes each block twice.
        var second = try ApplicationChain(try directory.open("second"), balances: [(1, 100)])
        for (index, block) in blocks.enumerated() {
            second = try ApplicationChain(try directory.open("second"), balances: [(1, 100)])
            #expect(try second.execute(block) == results[index])
            try second.application.rollback()
            #expect(try second.commit(block) == results[index], "block \(index + 1)")
        }
        #expect(second.application.tip == first.application.tip)
    }

    /// A connection's history adds no instruction, although SQLite searches one database more after an ALTER TABLE has
    /// opened that of temporary tables.
    @Test func costDoesNotDependOnTheConnection() throws {
        let application = try directory.open()
        let chain = try ApplicationChain(application)
        try chain.commit([chain.statement("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")])
        let block = try [
            chain.statement("DROP INDEX IF EXISTS missing"), chain.statement("DROP TABLE IF EXISTS missing"),
            chain.statement("DROP VIEW IF EXISTS missing"),
            chain.statement("ALTER TABLE t RENAME COLUMN a TO b"),
        ]
        _ = try chain.execute(block)
        let first = try application.blockCost()
        try chain.application.rollback()
        _ = try chain.execute(block)
        #expect(try application.blockCost() == first)
    }

    /// Sorting by one of our collations makes, and charges, as many comparisons with a small page cache.
    @Test func costDoesNotDependOnThePageCache() throws {
        let application = try directory.open()
        let chain = try ApplicationChain(application)
        try chain.commit([
            chain.statement("CREATE TABLE t (id INTEGER PRIMARY KEY)"),
            chain.statement(
                "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 177) INSERT INTO t SELECT i FROM c"
            ),
        ])
        let block = try [chain.statement("CREATE INDEX i ON t (hex(zeroblob(100000)) COLLATE NOCASE)")]
        _ = try chain.execute(block)
        let first = try application.blockCost()
        try chain.application.rollback()
        try application.limitCache(toPages: 1)
        _ = try chain.execute(block)
        #expect(try application.blockCost() == first)
    }

    /// SQLite uses our allocator, whose blocks have the same sizes on every node, however SQLite was built.
    @Test func memoryIsOfTheNodesOwnHeap() throws {
        let connection = try SQLiteConnection(path: ":memory:", access: .readWrite)
        for size in 1...64 as ClosedRange<Int32> {
            let piece = sqlite3_malloc(size)
            defer { sqlite3_free(piece) }
            #expect(sqlite3_msize(piece) == UInt64((size + 7) / 8 * 8))
        }
        apus_sqlite_heap_begin(1, 100)
        defer { _ = apus_sqlite_heap_end() }
        #expect(throws: SQLiteFailure.self) { try connection.execute("SELECT zeroblob(1000) || ''") }
    }

    /// The hash is the same in every process that ever runs this test.
    @Test func hashIsThatOfOtherProcesses() throws {
        let chain = try ApplicationChain(try directory.open(), balances: [(1, 100)])
        for block in try blocks(chain) { try chain.commit(block) }
        #expect(
            "\(chain.application.tip.appHash)"
                == "064bcef96f5fa0167fc438211eab73149c3873df589eaf487f04017e3d1be460")
    }

    @Test func hashFollowsTheDefinition() throws {
        let chain = try ApplicationChain(try directory.open())
        let empty = Hash.sha256(of: [UInt8]())
        // No changes and no results.
        let first = try chain.commit([])
        #expect(first.appHash == Hash.sha256(of: Hash.zero.array + empty.array + empty.array))

        let create = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)"
        let second = try chain.commit([
            chain.statement(create), chain.statement("INSERT INTO t VALUES (2, 'ab')"),
        ])
        let ok = TransactionResult(.ok).bytes
        let inserted: [UInt8] =
            [18] + number(1) + Array("t".utf8) + [0, 0, 0, 2] + [1] + number(2) + [3] + number(2)
            + Array("ab".utf8)
        let owner = AccountID(chain.owner.publicKey)
        var account: [UInt8] = [18] + number(13) + Array("apus_accounts".utf8) + [0, 0, 0, 4]
        account += [4] + number(UInt64(owner.identifier.count)) + owner.identifier
        account += [1] + number(UInt64(owner.keyType.rawValue))
        account += [3] + number(1) + Array("0".utf8) + [1] + number(2)
        let parts = part(1, Array(create.utf8)) + part(0, inserted) + part(0, account)
        #expect(
            second.appHash
                == Hash.sha256(
                    of: first.appHash.array + Hash.sha256(of: parts).array + Hash.sha256(of: ok + ok).array))
    }

    private func number(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.bigEndian, Array.init) }

    private func part(_ kind: UInt8, _ content: [UInt8]) -> [UInt8] {
        [kind] + Hash.sha256(of: content).array
    }

    @Test func hashCoversRows() throws {
        try expectDifference("INSERT INTO t VALUES (2, 'a')", "INSERT INTO t VALUES (2, 'b')")
    }

    @Test func hashCoversOldValues() throws {
        try expectDifference("UPDATE t SET a = 'new' WHERE id = 1", "REPLACE INTO t VALUES (9, 'new')")
    }

    @Test func hashCoversSchemaChanges() throws {
        try expectDifference("CREATE INDEX i ON t (a)", "CREATE INDEX j ON t (a)")
        try expectDifference("CREATE TABLE u (id INT PRIMARY KEY)", "CREATE TABLE u (id TEXT PRIMARY KEY)")
    }

    @Test func hashCoversResults() throws {
        try expectDifference("INSERT INTO t VALUES (1, 'a')", "SELECT 1")
    }

    @Test func hashCoversPreviousHash() throws {
        let chain = try ApplicationChain(try directory.open())
        let first = try chain.commit([])
        #expect(try chain.commit([]).appHash != first.appHash)
    }

    @Test func hashCoversValidators() throws {
        let chain = try ApplicationChain(try directory.open())
        let approval = Payload.validatorApprove(chain.stranger.publicKey)
        let one = try chain.execute([
            chain.transaction(.validatorJoin(power: 1), by: chain.stranger), chain.transaction(approval),
        ])
        try chain.rollback()
        let other = try chain.execute([
            chain.transaction(.validatorJoin(power: 2), by: chain.stranger), chain.transaction(approval),
        ])
        // Accounts and results are the same, no request is left, and only the power differs.
        #expect(one.results == other.results)
        #expect(one.validatorUpdates != other.validatorUpdates)
        #expect(one.appHash != other.appHash)
    }

    /// Pending requests survive restarts, undone blocks, and blocks that run again after an overrun.
    @Test func pendingRequestsAreState() throws {
        let others: [(seed: UInt8, power: Int64)] = [(3, 1), (4, 1)]
        func open(_ name: String) throws -> ApplicationChain {
            try ApplicationChain(try directory.open(name), otherValidators: others)
        }
        let first = try open("first")
        let candidate = first.stranger.publicKey
        let blocks = try [
            [
                first.statement("CREATE TABLE b (k TEXT PRIMARY KEY)"),
                first.transaction(.validatorJoin(power: 5), by: first.stranger),
                first.statement(Self.writingBomb),
                first.transaction(.validatorApprove(candidate), by: TestChain.key(3)),
            ],
            [
                first.transaction(.validatorRemove(TestChain.key(3).publicKey)),
                first.transaction(.validatorJoin(power: 1), by: TestChain.key(9)),
            ],
            [first.transaction(.validatorApprove(candidate), by: TestChain.key(4))],
            [first.transaction(.validatorLeave, by: TestChain.key(3))], [],
        ]
        var results: [ExecutionResult] = []
        var pending: [[ValidatorRequest]] = []
        for block in blocks {
            results.append(try first.commit(block))
            pending.append(try first.application.validatorRequests())
        }
        #expect(results[0].results.map(\.code) == [0, 0, 65535, 0])
        #expect(pending.map(\.count) == [1, 3, 2, 1, 1])
        #expect(results[2].validatorUpdates == [Validator(key: candidate, power: 5)])

        var second = try open("second")
        for (index, block) in blocks.enumerated() {
            let validators = second.validators
            second = try open("second")
            second.validators = validators
            #expect(try second.execute(block) == results[index])
            try second.application.rollback()
            #expect(try second.application.validatorRequests() == (index > 0 ? pending[index - 1] : []))
            #expect(try second.commit(block) == results[index], "block \(index + 1)")
            #expect(try second.application.validatorRequests() == pending[index])
        }
        // The same in every process that ever runs this test.
        #expect(
            "\(first.application.tip.appHash)"
                == "e0418b8854c4fbdc293ed4cf874b33ac64773efcf680b149c9f8d2f00c69d0cb")
    }

    private func expectDifference(_ one: String, _ other: String) throws {
        let chain = try ApplicationChain(try directory.open())
        if chain.application.tip.height == 0 {
            try chain.run("CREATE TABLE t (id INT PRIMARY KEY, a TEXT)")
            try chain.run("INSERT INTO t VALUES (1, 'old'), (9, 'old')")
        }
        let first = try chain.execute([chain.statement(one)])
        try chain.rollback()
        let second = try chain.execute([chain.statement(other)])
        try chain.rollback()
        #expect(first.appHash != second.appHash)
    }
}
