import Bytes
import Chain
import Crypto
import TestSupport
import Testing

@testable import Execution

@Suite struct SQLApplicationTests {
    let directory: TemporaryDirectory
    let chain: ApplicationChain

    init() throws {
        directory = try TemporaryDirectory()
        chain = try ApplicationChain(try directory.open())
    }

    @Test func executesStatements() throws {
        #expect(try chain.run("CREATE TABLE t (id INT PRIMARY KEY, name TEXT)").isOK)
        #expect(
            try chain.run(
                "{main}INSERT INTO t VALUES ($id, $name)", [("$id", .int8(1)), ("$name", .text("a"))]
            ).isOK)
        #expect(try chain.run(" {main} INSERT INTO t VALUES (2, 'b');").isOK)
        #expect(
            try chain.rows("SELECT id, name FROM t ORDER BY id") == [
                [.int8(1), .text("a")], [.int8(2), .text("b")],
            ])
        #expect(chain.application.tip.height == 3)
    }

    @Test func preparedStateIsInvisibleUntilCommit() throws {
        try chain.run("CREATE TABLE t (id INT PRIMARY KEY)")
        let tip = chain.application.tip
        let result = try chain.execute([chain.statement("INSERT INTO t VALUES (1)")])
        #expect(result.results.map(\.isOK) == [true])
        #expect(chain.application.tip == tip)
        #expect(try chain.number("SELECT count(*) FROM t") == 0)
        try chain.application.commit()
        #expect(chain.application.tip == ApplicationTip(height: 2, appHash: result.appHash))
        #expect(try chain.number("SELECT count(*) FROM t") == 1)
    }

    @Test func rollbackLeavesNothing() throws {
        try chain.run("CREATE TABLE t (id INT PRIMARY KEY)")
        let tip = chain.application.tip
        let insert = try chain.statement("INSERT INTO t VALUES (1)")
        let first = try chain.execute([insert])
        try chain.application.rollback()
        #expect(chain.application.tip == tip)
        #expect(try chain.application.account(AccountID(chain.owner.publicKey))?.nonce == 1)
        let again = try chain.execute([insert])
        #expect(again == first)
        try chain.application.commit()
        #expect(try chain.number("SELECT count(*) FROM t") == 1)
    }

    @Test func rolledBackSchemaChangeIsGone() throws {
        _ = try chain.execute([
            chain.statement("CREATE TABLE t (id INT PRIMARY KEY)"),
            chain.statement("INSERT INTO t VALUES (1)"),
        ])
        try chain.application.rollback()
        #expect(throws: ExecutionError.self) { try chain.rows("SELECT * FROM t") }
    }

    @Test func failedTransactionLeavesOthers() throws {
        try chain.run("CREATE TABLE t (id INT PRIMARY KEY)")
        let result = try chain.commit([
            chain.statement("INSERT INTO t VALUES (1)"),
            // Without the savepoint, row 2 would remain.
            chain.statement("INSERT OR FAIL INTO t VALUES (2), (1)"),
            chain.statement("INSERT INTO t VALUES (3)"),
        ])
        #expect(result.results.map(\.isOK) == [true, false, true])
        #expect(result.results[1].log == "UNIQUE constraint failed: t.id")
        #expect(try chain.rows("SELECT id FROM t ORDER BY id") == [[.int8(1)], [.int8(3)]])
        #expect(try chain.application.account(AccountID(chain.owner.publicKey))?.nonce == 4)
    }

    @Test func callsOutOfOrderAreRefused() throws {
        #expect(throws: ExecutionError.outOfOrder("no block is prepared")) { try chain.application.commit() }
        _ = try chain.execute([])
        #expect(throws: ExecutionError.outOfOrder("block 1 does not follow height 1")) {
            try chain.execute([])
        }
        try chain.application.rollback()
        let block = chain.block([])
        try chain.commit([])
        #expect(throws: ExecutionError.outOfOrder("block 1 does not follow height 1")) {
            try chain.application.execute(
                block, transactions: [], parameters: chain.parameters, validators: chain.validators)
        }
    }

    @Test func thePageCacheHasTheSizeChosen() throws {
        let application = try SQLApplication(directory: "\(directory.path)/cache", cacheBytes: 1 << 20)
        let kibibytes = try application.onConnection { (connection) throws(SQLiteFailure) in
            let size = try connection.prepare("PRAGMA cache_size")
            return try size.step() ? size.int(0) : 0
        }
        #expect(kibibytes == -1_024)
    }

    @Test func needsGenesis() throws {
        let application = try directory.open("new")
        #expect(throws: ExecutionError.notInitialized) {
            try application.execute(
                chain.block([]), transactions: [], parameters: chain.parameters,
                validators: chain.validators)
        }
        #expect(throws: ExecutionError.notInitialized) {
            try application.query("SELECT 1", [], limits: QueryLimits())
        }
        #expect(throws: ExecutionError.notInitialized) {
            try application.account(AccountID(chain.owner.publicKey))
        }
    }
}
