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

    /// Checks a transaction, adds it to the mempool and announces it.
    ///
    /// - Parameters:
    ///   - transaction: its whole encoding.
    ///   - waitForCommit: whether to return only after the commit, or throw `.commitTimeout`.
    /// - Returns: the transaction's ID, and the result of execution if it was waited for.
    func broadcast(
        _ transaction: SharedBytes, waitForCommit: Bool
    ) async throws(NodeError) -> BroadcastOutcome

    /// Checks transactions, adds them to the mempool and announces them, like `broadcast` for one, with a single
    /// crossing to the node. Returns one outcome each, in order, without waiting for commits.
    func broadcast(_ transactions: [SharedBytes]) async -> [Result<BroadcastOutcome, NodeError>]

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

    /// Runs a read-only statement on the committed state. A parameter's name is bytes, with or without its sign.
    func query(
        _ sql: String, _ parameters: [RawStatement.Parameter]
    ) async throws(NodeError) -> QueryResult
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
    /// Too many requests are waiting; the same request may succeed later.
    case busy(String)
    /// An error of the node itself: storage, execution, or stopping.
    case failed(String)
    /// The node was stopped before it was ready, with its application at this height.
    case stopped(height: Int64)

    /// One line.
    public var description: String {
        switch self {
        case .rejected(let code, let reason): "transaction refused (code \(code.rawValue)): \(reason)"
        case .blocksOnly: "this node is blocks-only, without a mempool: send transactions to another node"
        case .commitTimeout(let id): "transaction \(id) was accepted but not committed in time"
        case .query(let reason), .busy(let reason), .failed(let reason): reason
        case .stopped(let height):
            "stopped while the block log was executed; the next start continues after height \(height)"
        }
    }
}

/// The status of a node.
public struct NodeStatus: Sendable {
    /// The node's role in consensus.
    public enum Role: String, Sendable {
        case leader, validator, sentry
    }

    /// `<public key hex>#<key type>`.
    public var nodeID: String
    /// The libp2p peer ID, in base58.
    public var peerID: String
    /// The current role.
    public var role: Role
    /// The height of the latest committed block; 0 before the first, when the hashes are zero.
    public var height: Int64
    /// The hash of the latest committed block.
    public var blockHash: Hash
    /// The app hash after the latest committed block.
    public var appHash: Hash
    /// The time of the latest block, in milliseconds since 1970; 0 before the first.
    public var blockTimestamp: UInt64
    /// Whether the node is catching up.
    public var isSyncing: Bool
    /// Why this node's or the leader's clock seems wrong, in one line; nil if neither does.
    public var clockDoubt: String?
    /// The number of connected peers.
    public var peerCount: Int
    /// The number of unconfirmed transactions.
    public var mempoolCount: Int
    /// The size of all unconfirmed transactions, in bytes.
    public var mempoolSize: Int
    /// The number of committed transactions.
    public var transactionCount: UInt64
    /// `io_uring` or `epoll`, with the reason if it was not the first choice.
    public var reactor: String
    /// The multiaddrs that the node listens on.
    public var listenAddresses: [String]
    /// Whether the node keeps no mempool.
    public var isBlocksOnly = false
    /// Whether transactions of the next block cost gas.
    public var hasGasCosts = false
    /// Why this status may be outdated, in one sentence; nil if nothing suggests it.
    public var trouble: String?

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

    /// Creates a value from its members.
    public init(height: Int64, parameters: NetworkParameters, validators: ValidatorSet) {
        self.height = height
        self.parameters = parameters
        self.validators = validators
    }
}

/// The outcome of a broadcast transaction.
public struct BroadcastOutcome: Sendable {
    /// The transaction ID.
    public var id: Hash
    /// The result of execution; nil unless the caller waited for the commit.
    public var result: TransactionResult?

    /// Creates a value from its members.
    public init(id: Hash, result: TransactionResult?) {
        self.id = id
        self.result = result
    }
}

/// A committed or unconfirmed transaction.
public struct KnownTransaction: Sendable {
    /// Its whole encoding.
    public var bytes: SharedBytes
    /// The height of its block; -1 while unconfirmed.
    public var height: Int64
    /// The position in its block.
    public var index: UInt32
    /// The result of execution; nil while unconfirmed.
    public var result: TransactionResult?

    /// Creates a value from its members.
    public init(bytes: SharedBytes, height: Int64, index: UInt32, result: TransactionResult?) {
        self.bytes = bytes
        self.height = height
        self.index = index
        self.result = result
    }
}
