import Bytes
import Chain
import Crypto
import Execution
import Multiformats
import Synchronization

@testable import Node
@testable import Storage

/// A node with one known transaction and one block, for tests of the dispatcher's answers.
struct FixedNode: NodeInterface {
    let genesis: Genesis
    let known: Transaction
    let block: StoredBlock
    let hold = Hold()
    var refusal: NodeError?
    /// The nonce of every account, including unconfirmed transactions.
    var pending: UInt64?
    /// Why it is unhealthy.
    var trouble: String?
    /// The latest block's time.
    var blockTimestamp: UInt64 = 1_000
    /// Whether its status is known without waiting.
    var isStatusKnown = false
    /// Whether calls that wait for a commit are held.
    var holdsCommits = false
    /// Whether the broadcasts of a batch are held.
    var holdsBroadcasts = false

    /// Creates a node whose block has one transaction with a payload of `blockSize` bytes.
    init(refusal: NodeError? = nil, blockSize: Int = 0) throws {
        let key = try PrivateKey.generate(.ed25519)
        genesis = Genesis(
            chainID: "fixed", initialHeight: 0, databaseOwner: key.publicKey.nodeID,
            validators: ValidatorSet([Validator(key: key.publicKey, power: 1)]), allocations: [],
            parameters: NetworkParameters(leader: key.publicKey))
        known = try Transaction.signed(
            TransactionBody(.rawStatement(RawStatement("SELECT 1")), nonce: 1, chainID: "fixed"), by: key)
        let large = try Transaction.signed(
            TransactionBody(
                payload: SharedBytes([UInt8](repeating: 7, count: blockSize)), payloadType: "raw_statement",
                nonce: 1, chainID: "fixed"), by: key)
        let header = BlockHeader(
            height: 7, transactionCount: 1, previousHash: .zero, previousAppHash: .zero,
            validatorSetHash: .zero, networkParametersHash: .zero, timestamp: 1_000, merkleRoot: .zero)
        let block = Block(header: header, signature: [1, 2], transactions: [large.bytes])
        self.block = StoredBlock(
            height: 7, hash: block.hash, block: block.bytes,
            commitInfo: SharedBytes(CommitInfo(appHash: .zero, votes: []).bytes), resultBytes: SharedBytes(),
            path: "", offset: 0)
        self.refusal = refusal
    }

    /// Holds callers until it opens, even cancelled ones, as work on another thread does.
    final class Hold: Sendable {
        private struct State {
            var waiting: [CheckedContinuation<Void, Never>] = []
            var isOpen = false
            var begun = 0
            var groups: [Int] = []
        }

        private let state = Mutex(State())

        /// The number of calls so far.
        var begun: Int { state.withLock { $0.begun } }

        func wait() async {
            await withCheckedContinuation { caller in
                let isOpen = state.withLock { state in
                    state.begun += 1
                    if !state.isOpen { state.waiting.append(caller) }
                    return state.isOpen
                }
                if isOpen { caller.resume() }
            }
        }

        /// The sizes of the groups in which broadcasts arrived.
        var groups: [Int] { state.withLock { $0.groups } }

        func count(group: Int) { state.withLock { $0.groups.append(group) } }

        func count() { state.withLock { $0.begun += 1 } }

        /// Releases all callers, present and future.
        func open() {
            let waiting = state.withLock { state in
                state.isOpen = true
                defer { state.waiting = [] }
                return state.waiting
            }
            for caller in waiting { caller.resume() }
        }
    }

    var knownStatus: NodeStatus? { isStatusKnown ? currentStatus : nil }

    func status() async -> NodeStatus { currentStatus }

    private var currentStatus: NodeStatus {
        var status = NodeStatus()
        status.chainID = genesis.chainID
        status.role = .leader
        status.height = 7
        status.blockHash = .sha256(of: [1])
        status.blockTimestamp = blockTimestamp
        status.peerCount = 3
        status.mempoolCount = 1
        status.mempoolSize = 100
        status.transactionCount = 5
        status.reactor = "epoll"
        status.trouble = trouble
        return status
    }

    /// A block with one stage, and one transaction that is recorded.
    var clockReading: Duration { .microseconds(7) }

    func blockTraces(at height: Int64) async -> [BlockTrace] {
        guard height == 7 else { return [] }
        var trace = BlockTrace(height: 7, hash: block.hash, role: .validator)
        trace.outcome = .committed
        trace.size = 512
        trace.transactions = 1
        trace.source = genesis.parameters.leader?.peerID
        trace.stages = [
            StageTime(.header, at: .nanoseconds(5)), StageTime(.body, at: .nanoseconds(90)),
            StageTime(.committed, at: .nanoseconds(3_000_000_001)),
        ]
        return [trace]
    }

    func slowestBlocks(_ count: Int) async -> [BlockTrace] { await blockTraces(at: 7) }

    func transactionTrace(_ id: Hash) async -> (trace: TransactionTrace?, sampling: Int) {
        guard id == known.id else { return (nil, 4) }
        var trace = TransactionTrace(id: id)
        trace.height = 9
        trace.stages = [StageTime(.submitted, at: .nanoseconds(3)), StageTime(.checked, at: .nanoseconds(4))]
        return (trace, 1)
    }

    /// The histograms of a node whose blocks took 2 and 40 ms to execute.
    let stageHistograms: NodeHistograms = {
        let histograms = NodeHistograms(blocks: StageHistograms(), transactions: StageHistograms())
        for milliseconds in [2, 40] {
            histograms.blocks.record(
                BlockStage.executed.rawValue, nanoseconds: Int64(milliseconds) * 1_000_000)
        }
        return histograms
    }()

    func network() async -> NetworkState {
        NetworkState(height: 7, parameters: genesis.parameters, validators: genesis.validators)
    }

    func validatorRequests() async throws(NodeError) -> [ValidatorRequest] { [] }

    func unconfirmed(limit: Int) async -> [Transaction] { Array(repeating: known, count: limit) }

    func broadcast(
        _ transactions: [SharedBytes], waitForCommit: Bool
    ) async -> [Result<BroadcastOutcome, NodeError>] {
        if !waitForCommit { hold.count(group: transactions.count) }
        if waitForCommit ? holdsCommits : holdsBroadcasts { await hold.wait() }
        return transactions.map { bytes in
            if let refusal { return .failure(refusal) }
            return .success(
                BroadcastOutcome(
                    id: Hash.sha256(of: bytes), result: waitForCommit ? TransactionResult(.ok, gas: 2) : nil))
        }
    }

    /// An ID of a transaction whose block is dropped.
    static let droppedID = Hash.sha256(of: [1])

    func block(at height: Int64) async throws(NodeError) -> StoredBlock? {
        if height == 3 { throw dropped }
        guard height == 7 else { return nil }
        hold.count()
        return block
    }

    func block(hash: Hash) async throws(NodeError) -> StoredBlock? { nil }

    func transaction(_ id: Hash) async throws(NodeError) -> KnownTransaction? {
        if id == Self.droppedID { throw dropped }
        guard id == known.id else { return nil }
        return KnownTransaction(bytes: known.bytes, height: 4, index: 2, result: TransactionResult(.ok))
    }

    private var dropped: NodeError { .pruned("\(StorageError.pruned(height: 3, first: 7))") }

    func pendingNonce(_ id: AccountID) async -> UInt64? { pending }

    func account(_ id: AccountID) async throws(NodeError) -> Account? { Account(balance: 12, nonce: 3) }

    /// A result with values of several types in one column.
    static let mixed = QueryResult(
        columnNames: ["v", "n"], columnTypes: [DataType(.text), DataType(.numeric)],
        rows: [
            [.text("AP8="), .null], [.bytea([0, 0xFF]), .text("x")], [.null, .int8(7)],
            [.bool(true), Value.numeric("1.5", precision: 2, scale: 1) ?? .null], [.text(""), .bytea([])],
        ])

    /// Answers `SELECT $a`; `hold`, which waits; `scan`, which is not short, and waits as a long one; `names`, which returns
    /// each parameter's name and value; `mixed`; and `many`, which returns 3,000 rows.
    func query(
        _ sql: String, _ parameters: [RawStatement.Parameter], _ length: QueryLength
    ) async throws(NodeError) -> QueryResult {
        switch sql {
        case "scan" where length == .short: throw .notShort
        case "scan":
            await hold.wait()
            return QueryResult(columnNames: ["n"], columnTypes: [DataType(.int8)], rows: [[.int8(1)]])
        case "hold":
            await hold.wait()
            return QueryResult(columnNames: ["a"], columnTypes: [DataType(.text)], rows: [[.text("late")]])
        case "names":
            return QueryResult(
                columnNames: ["name", "value"], columnTypes: [DataType(.bytea), DataType(.text)],
                rows: parameters.map { [.bytea(Array($0.name.utf8)), $0.value] })
        case "SELECT $a":
            let value = parameters.first { $0.name == "$a" }?.value
            return QueryResult(
                columnNames: ["a", "b"], columnTypes: [DataType(.text), DataType(.int8)],
                rows: [[value ?? .null, .int8(5)], [.null, .bool(true)]])
        case "mixed": return Self.mixed
        case "many":
            return QueryResult(
                columnNames: ["n"], columnTypes: [DataType(.int8)], rows: (0..<3_000).map { [.int8($0)] })
        default: throw .query("only one statement is known")
        }
    }
}
