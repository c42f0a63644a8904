import Bytes
import Chain
import Crypto
import TestSupport
import Testing

@testable import Execution

/// Several blocks that are executed one after another and committed together.
@Suite struct BlocksTogetherTests {
    enum Kind: CaseIterable {
        case sql, noop
    }

    /// A block with what executing it needs, and its result when it was committed alone.
    private struct Executed {
        let block: Block
        let transactions: [Transaction]
        let result: ExecutionResult
    }

    private static func make(_ kind: Kind, _ directory: TemporaryDirectory, _ name: String) throws
        -> any Application
    {
        kind == .sql ? try directory.open(name) : NoopApplication()
    }

    /// Commits blocks alone, each with one transaction by the owner.
    private static func commit(_ statements: [String], on chain: ApplicationChain) throws -> [Executed] {
        try statements.map { sql in
            let transactions = [try chain.statement(sql)]
            let block = chain.block(transactions)
            return Executed(block: block, transactions: transactions, result: try chain.commit(transactions))
        }
    }

    private static let statements = [
        "CREATE TABLE t (id INT PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
        "UPDATE t SET v = v || id", "no statement", "INSERT INTO t SELECT count(*) + 1, max(v) FROM t",
        "ALTER TABLE t ADD COLUMN w TEXT",
    ]

    /// Executes a block, whose result must be the one that it had alone.
    private static func execute(
        _ one: Executed, of chain: ApplicationChain, on application: any Application
    ) throws {
        let result = try application.execute(
            one.block, transactions: one.transactions, parameters: chain.parameters,
            validators: chain.validators)
        #expect(result == one.result)
    }

    @Test(arguments: Kind.allCases) func theResultsAreThoseOfBlocksCommittedAlone(_ kind: Kind) throws {
        let directory = try TemporaryDirectory()
        let chain = try ApplicationChain(try Self.make(kind, directory, "alone"))
        let blocks = try Self.commit(Self.statements, on: chain)
        let application = try Self.make(kind, directory, "together")
        try application.initialize(chain.genesis)
        let genesis = application.tip
        for group in [blocks[0..<1], blocks[1..<6]] {
            let before = application.tip
            for one in group {
                try Self.execute(one, of: chain, on: application)
                #expect(application.tip == before)
            }
            try application.commit()
        }
        #expect(application.tip == chain.application.tip && application.tip != genesis)
        let owner = AccountID(chain.owner.publicKey)
        #expect(try application.account(owner) == chain.application.account(owner))
        #expect(throws: ExecutionError.outOfOrder("no block is prepared")) { try application.commit() }
    }

    @Test(arguments: Kind.allCases) func allAreRolledBackTogether(_ kind: Kind) throws {
        let directory = try TemporaryDirectory()
        let chain = try ApplicationChain(try Self.make(kind, directory, "alone"))
        let blocks = try Self.commit(Self.statements, on: chain)
        let application = try Self.make(kind, directory, "together")
        try application.initialize(chain.genesis)
        func execute(_ one: Executed) throws { try Self.execute(one, of: chain, on: application) }
        try execute(blocks[0])
        try application.commit()
        for one in blocks[1..<4] { try execute(one) }
        try application.rollback()
        #expect(application.tip.height == 1)
        #expect(throws: ExecutionError.outOfOrder("block 5 does not follow height 1")) {
            try execute(blocks[4])
        }
        for one in blocks[1..<3] { try execute(one) }
        // An execution that is stopped undoes the blocks before it, too.
        application.stop()
        #expect(throws: ExecutionError.stopped) { try execute(blocks[3]) }
        for one in blocks[1...] { try execute(one) }
        try application.commit()
        #expect(application.tip == chain.application.tip)
    }

    @Test func aStatementThatSQLiteInterruptsUndoesAllOfThem() throws {
        let directory = try TemporaryDirectory()
        let chain = try ApplicationChain(try directory.open("alone"))
        let fill = """
            WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c LIMIT 100) INSERT INTO t SELECT n, '' FROM c
            """
        let blocks = try Self.commit(
            ["CREATE TABLE t (id INT PRIMARY KEY, v TEXT)", fill, BudgetTests.silent], on: chain)
        let application = try directory.open("together")
        try application.initialize(chain.genesis)
        func execute(_ one: Executed) throws { try Self.execute(one, of: chain, on: application) }
        try execute(blocks[0])
        try application.commit()
        try execute(blocks[1])
        #expect(throws: ExecutionError.undone) { try execute(blocks[2]) }
        #expect(throws: ExecutionError.outOfOrder("no block is prepared")) { try application.commit() }
        try execute(blocks[1])
        try application.commit()
        try execute(blocks[2])
        try application.commit()
        #expect(application.tip == chain.application.tip)
    }

    /// What a block costs must not depend on which blocks a node commits together.
    @Test func aBlockAfterAChangeOfTheSchemaWaitsForItsCommit() throws {
        let directory = try TemporaryDirectory()
        let alone = try directory.open("alone")
        let chain = try ApplicationChain(alone)
        // It runs at several widths, with a rollback to its savepoint before each but the first.
        let wide = "INSERT INTO t VALUES (1, hex(zeroblob(300000)))"
        let blocks = try Self.commit(
            ["CREATE TABLE t (id INT PRIMARY KEY, v TEXT)", "CREATE VIEW w AS SELECT 1 AS x", wide], on: chain
        )
        let cost = try alone.blockCost()
        let application = try directory.open("together")
        try application.initialize(chain.genesis)
        func execute(_ one: Executed) throws { try Self.execute(one, of: chain, on: application) }
        for one in blocks {
            try execute(one)
            if one.block.height < 3 {
                #expect(throws: ExecutionError.commitFirst) { try execute(blocks[Int(one.block.height)]) }
            }
            try application.commit()
        }
        #expect(try application.blockCost() == cost)
        #expect(application.tip == alone.tip)
    }
}
