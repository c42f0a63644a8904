import Bytes
import Chain
import Consensus
import Crypto
import Execution
import Node
import Reactor
import Storage

/// Extends the chain of a root directory whose node is the only validator, for measurements of nodes with a long past
/// (perf/README.md).
///
/// Blocks are made, executed, voted on and stored by production code, one after another. There is no network, mempool or
/// pause, so a million small blocks take minutes. Not thread-safe; it waits for the disk.
public final class ChainBuilder {
    /// The wait for a block, in milliseconds, by the blocks' timestamps.
    private static let blockTime: UInt64 = 1
    /// The timestamp of the first block, in the past of any machine.
    private static let firstTimestamp: UInt64 = 1_700_000_000_000

    private let genesis: Genesis
    private let key: PrivateKey
    private let store: BlockStore
    let application: any Application
    private var state: ChainState
    private var nonce: UInt64

    /// Opens a root directory, which no node may use meanwhile, with the application that its configuration names. Throws an
    /// error whose description is one line.
    public init(_ root: RootDirectory) async throws {
        genesis = try Genesis.load(root.genesisFile)
        key = try KeyFile.load(root.keyFile)
        guard genesis.validators.keys == [key.publicKey] else {
            throw NodeError.failed("\(root.genesisFile): this node must be the only validator")
        }
        let isSQL = try root.configuration().execution.application == "sql"
        for directory in [root.blocksDirectory, root.applicationDirectory] {
            try DirectoryTree.create(directory)
        }
        let worker = Worker(name: "opening", capacity: 1)
        defer { worker.stop() }
        let (store, votes, application) = try await worker.run {
            () -> (BlockStore, VoteLog, any Application) in
            (
                try BlockStore(directory: root.blocksDirectory), try VoteLog(directory: root.blocksDirectory),
                isSQL ? try SQLApplication(directory: root.applicationDirectory) : NoopApplication()
            )
        }
        self.store = store
        self.application = application
        state = try await ChainRecovery.run(
            genesis: genesis, store: store, votes: votes, application: application, log: .silent, on: worker
        ) { _ in }.state
        nonce = try application.account(AccountID(key.publicKey))?.nonce ?? 0
    }

    /// The height of the last block.
    public var height: Int64 { state.height }

    /// Appends blocks up to a height, each with a number of transactions that insert a row, whose text has at least `bytes`
    /// bytes. The first block creates the table instead.
    public func grow(to height: Int64, transactions count: Int, bytes: Int = 0) throws {
        if state.height < height { try createTable() }
        let padding = String(repeating: " ", count: bytes)
        while state.height < height {
            let first = nonce
            try append(
                (0..<count).map {
                    RawStatement("INSERT INTO rows (v) VALUES ('row \(first + UInt64($0))\(padding)')")
                })
        }
    }

    /// Creates the table in the first block of the chain.
    func createTable() throws {
        guard state.height == genesis.initialHeight else { return }
        try append([RawStatement("CREATE TABLE rows (id INTEGER PRIMARY KEY, v TEXT)")])
    }

    /// Appends a block of these statements, each a transaction. Returns the time to execute it, store it and commit the
    /// application.
    @discardableResult
    func append(_ statements: [RawStatement]) throws -> Duration {
        let transactions = try statements.map { statement in
            nonce += 1
            return try Transaction.signed(
                TransactionBody(.rawStatement(statement), nonce: nonce, chainID: genesis.chainID),
                by: key)
        }
        let header = BlockHeader(
            height: state.height + 1, transactionCount: 0, previousHash: state.hash,
            previousAppHash: state.appHash, validatorSetHash: state.validatorSetHash,
            networkParametersHash: state.parametersHash,
            timestamp: max(state.timestamp + Self.blockTime, Self.firstTimestamp), merkleRoot: .zero)
        let block = Block.signed(header, transactions: transactions, by: key)
        let start = ContinuousClock.now
        let result = try application.execute(
            block, transactions: transactions, parameters: state.parameters, validators: state.validators)
        if let failed = result.results.first(where: { !$0.isOK }) {
            throw NodeError.failed("block \(block.height): a transaction failed: \(failed.log)")
        }
        let vote = VoteInfo(
            signature: VoteSignature(block.hash, appHash: result.appHash, by: key), status: .agreed)
        let info = CommitInfo(appHash: result.appHash, votes: [vote])
        try store.append(HashedBlock(block, madeOf: transactions), info, result.results)
        try application.commit()
        let time = ContinuousClock.now - start
        // A node does this beside the next blocks.
        if store.isIndexDue { try store.maintainIndex() }
        state = try state.after(block.header, hash: block.hash, commit: info)
        return time
    }

    /// Closes the files.
    public func close() throws {
        application.close()
        try store.close()
    }
}
