import Bytes
import Chain
import Crypto
import Execution
import Multiformats
import Storage

/// What JSON-RPC, the command line and tests may ask of a running node. Callable from any thread: each call crosses to
/// the reactor or a worker through a bounded queue and never blocks the caller's thread.
public protocol NodeInterface: Sendable {
    /// The network that the node belongs to.
    var genesis: Genesis { get }

    /// Returns the node's status.
    func status() async -> NodeStatus

    /// The result of `status`, if it is available without waiting for the node's loop.
    var knownStatus: NodeStatus? { get }

    /// Returns the leader, limits and validators of the next block, from committed state.
    func network() async -> NetworkState

    /// Returns the changes of the validator set that await validators' approval, from committed state, oldest first.
    func validatorRequests() async throws(NodeError) -> [ValidatorRequest]

    /// Returns up to `limit` unconfirmed transactions that a block could hold now, in the block's order.
    func unconfirmed(limit: Int) async -> [Transaction]

    /// Checks transactions, adds them to the mempool and announces them.
    ///
    /// - Parameters:
    ///   - transactions: their whole encodings.
    ///   - waitForCommit: whether to return only after the commits, or fail with `.commitTimeout`.
    /// - Returns: one outcome each, in order.
    func broadcast(
        _ transactions: [SharedBytes], waitForCommit: Bool
    ) async -> [Result<BroadcastOutcome, NodeError>]

    /// Returns the committed block at a height; nil if there is none. A `height` of 0 or less means the latest.
    func block(at height: Int64) async throws(NodeError) -> StoredBlock?

    /// Returns the committed block with a hash; nil if there is none.
    func block(hash: Hash) async throws(NodeError) -> StoredBlock?

    /// Returns a committed or unconfirmed transaction; nil if the node has neither.
    func transaction(_ id: Hash) async throws(NodeError) -> KnownTransaction?

    /// Returns an account's committed state; nil if it never appeared.
    func account(_ id: AccountID) async throws(NodeError) -> Account?

    /// Returns the nonce of the account's last unconfirmed transaction that a block could hold; nil if there is none.
    func pendingNonce(_ id: AccountID) async -> UInt64?

    /// Runs a read-only statement on the committed state, or throws `.notShort` if it is tried as a short query but needs
    /// more. A parameter's name is bytes, with or without its sign.
    func query(
        _ sql: String, _ parameters: [RawStatement.Parameter], _ length: QueryLength
    ) async throws(NodeError) -> QueryResult

    /// The time by the clock of the node's loop, by which stages are recorded.
    var clockReading: Duration { get }

    /// Returns what the node recorded of the blocks of a height that it keeps, proposed or committed.
    func blockTraces(at height: Int64) async -> [BlockTrace]

    /// Returns up to `count` of the kept committed blocks, those that took longest first.
    func slowestBlocks(_ count: Int) async -> [BlockTrace]

    /// Returns what the node recorded of a transaction, if it did. It records one of `sampling` transactions now.
    func transactionTrace(_ id: Hash) async -> (trace: TransactionTrace?, sampling: Int)

    /// How long stages took since the node started.
    var stageHistograms: NodeHistograms { get }
}

extension NodeInterface {
    /// Broadcasts one transaction.
    public func broadcast(
        _ transaction: SharedBytes, waitForCommit: Bool
    ) async throws(NodeError) -> BroadcastOutcome {
        try await broadcast([transaction], waitForCommit: waitForCommit)[0].get()
    }
}

/// Why a request was refused or failed. Each description is one line.
public enum NodeError: Error, Sendable, CustomStringConvertible {
    /// The transaction was refused with this code.
    case rejected(TransactionCode, String)
    /// The node keeps no mempool: `mempool.enabled` is false.
    case blocksOnly
    /// The transaction was accepted but not committed within `rpc.broadcast_tx_timeout`.
    case commitTimeout(Hash)
    /// The statement was refused or failed.
    case query(String)
    /// The query takes more than a short one may.
    case notShort
    /// Too many requests are waiting; the same request may succeed later.
    case busy(String)
    /// The node has dropped the block at this height, in which the transaction is; the text says so.
    case pruned(String)
    /// An error of the node itself: storage, execution, or stopping.
    case failed(String)
    /// The node was stopped before it was ready, with its application at this height, if it was open.
    case stopped(height: Int64?)

    /// One line.
    public var description: String {
        switch self {
        case .rejected(let code, let reason): "transaction refused (code \(code.rawValue)): \(reason)"
        case .blocksOnly: "this node is blocks-only, without a mempool: send transactions to another node"
        case .notShort: "the query takes more than a short one may"
        case .commitTimeout(let id): "transaction \(id) was accepted but not committed in time"
        case .query(let reason), .busy(let reason), .pruned(let reason), .failed(let reason): reason
        case .stopped(let height):
            "stopped during recovery; the next start continues"
                + (height.map { " after height \($0)" } ?? "")
        }
    }
}

/// The status of a node. `apus.status` passes on all but `blockTimestamp`, `syncTarget` and
/// `hasGasCosts`.
public struct NodeStatus: Sendable {
    /// The software's version, `major.minor.patch`.
    public var version = NodeVersion.text
    /// The chain ID.
    public var chainID = ""
    /// `<public key hex>#<key type>`.
    public var nodeID = ""
    /// The libp2p peer ID, in base58.
    public var peerID = ""
    /// The current role.
    public var role = RoleName.sentry
    /// The height of the latest committed block; 0 before the first, when the hashes are zero.
    public var height: Int64 = 0
    /// The hash of the latest committed block.
    public var blockHash = Hash.zero
    /// The app hash after the latest committed block.
    public var appHash = Hash.zero
    /// The time of the latest block, in milliseconds since 1970; 0 before the first.
    public var blockTimestamp: UInt64 = 0
    /// Whether the node is catching up.
    public var isSyncing = false
    /// The height that the node is catching up to, if it knows one.
    public var syncTarget: Int64?
    /// Why this node's or the leader's clock seems wrong, in one line; nil if neither does.
    public var clockDoubt: String?
    /// The number of connected peers.
    public var peerCount = 0
    /// The number of unconfirmed transactions.
    public var mempoolCount = 0
    /// The size of all unconfirmed transactions, in bytes.
    public var mempoolSize = 0
    /// The number of committed transactions.
    public var transactionCount: UInt64 = 0
    /// `io_uring` or `epoll`, with the reason if it was not the first choice.
    public var reactor = ""
    /// The multiaddrs that the node listens on.
    public var listenAddresses: [String] = []
    /// Whether the node keeps no mempool.
    public var isBlocksOnly = false
    /// Whether transactions of the next block cost gas.
    public var hasGasCosts = false
    /// Why this status may be outdated, in one sentence; nil if nothing suggests it.
    public var trouble: String?

    package init() {}

    /// Whether the node is at the tip, as far as it can tell.
    public var isHealthy: Bool { !isSyncing && trouble == nil }
}

/// The leader, limits and validators of the next block, from committed state.
public struct NetworkState: Sendable {
    /// The height of the latest committed block.
    public var height: Int64
    /// The leader and limits of the next block.
    public var parameters: NetworkParameters
    /// The validators of the next block.
    public var validators: ValidatorSet
}

/// The outcome of a broadcast transaction.
public struct BroadcastOutcome: Sendable {
    /// The transaction ID.
    public var id: Hash
    /// The result of execution; nil unless the caller waited for the commit.
    public var result: TransactionResult?
}

/// A committed or unconfirmed transaction.
public struct KnownTransaction: Sendable {
    /// Its whole encoding.
    public var bytes: SharedBytes
    /// The height of its block; -1 while unconfirmed.
    public var height: Int64
    /// The position in its block.
    public var index: Int
    /// The result of execution; nil while unconfirmed.
    public var result: TransactionResult?
}
