import Bytes
import Chain
import Crypto
import Execution
import Multiformats
import Storage

/// What the outside (JSON-RPC, command line, tests) may ask of a running node. Callable from any thread; every call
/// crosses to the reactor or a worker through a bounded queue and never blocks the caller's thread.
public protocol NodeInterface: Sendable {
    /// The network that the node belongs to.
    var genesis: Genesis { get }

    /// A snapshot of where the node stands.
    func status() async -> NodeStatus

    /// What `status` would say, if that is known without waiting for the node's loop.
    var knownStatus: NodeStatus? { get }

    /// Who makes and who votes on the next block, by committed state.
    func network() async -> NetworkState

    /// Changes of the validator set that wait for validators' approvals, by committed state; the oldest first.
    func validatorRequests() async throws(NodeError) -> [ValidatorRequest]

    /// Unconfirmed transactions that a block could take now, in its order, at most `limit` of them.
    func unconfirmed(limit: Int) async -> [Transaction]

    /// Checks a transaction, keeps it in the mempool and announces it.
    ///
    /// - Parameters:
    ///   - transaction: its whole encoding.
    ///   - waitForCommit: return only when it is in a committed block, or throw `.commitTimeout`.
    /// - Returns: the result of execution if it was waited for.
    func broadcast(
        _ transaction: SharedBytes, waitForCommit: Bool
    ) async throws(NodeError) -> BroadcastOutcome

    /// Checks transactions, keeps them in the mempool and announces them: what `broadcast` does for one, with the way to
    /// the node and back paid once. One outcome each, in order; none waits for a commit.
    func broadcast(_ transactions: [SharedBytes]) async -> [Result<BroadcastOutcome, NodeError>]

    /// The committed block of a height, nil if there is none. `height` 0 or less means the latest.
    func block(at height: Int64) async throws(NodeError) -> StoredBlock?

    /// The committed block of a hash, nil if there is none.
    func block(hash: Hash) async throws(NodeError) -> StoredBlock?

    /// A committed or unconfirmed transaction, nil if the node knows neither.
    func transaction(_ id: Hash) async throws(NodeError) -> KnownTransaction?

    /// An account's committed state, nil if it never appeared.
    func account(_ id: AccountID) async throws(NodeError) -> Account?

    /// The nonce of the last transaction of an account that waits and could be mined; nil when none does.
    func pendingNonce(_ id: AccountID) async -> UInt64?

    /// Runs one read-only statement on the committed state. A parameter's name is its bytes, with or without its sign.
    func query(
        _ sql: String, _ parameters: [RawStatement.Parameter]
    ) async throws(NodeError) -> QueryResult
}

/// Why a node refused or failed a request; each description is one line.
public enum NodeError: Error, Sendable, CustomStringConvertible {
    /// The transaction was refused with this code.
    case rejected(TransactionCode, String)
    /// The node keeps no mempool: `mempool.enabled` is false.
    case blocksOnly
    /// It was accepted but not committed within `rpc.broadcast_tx_timeout`.
    case commitTimeout(Hash)
    /// The statement was refused or failed.
    case query(String)
    /// So much is asked already that this is not taken; the same may succeed a little later.
    case busy(String)
    /// A fault of the node's own: storage, execution, shutting down.
    case failed(String)
    /// Asked to stop before it was ready, at this height of its application.
    case stopped(height: Int64)

    /// One line.
    public var description: String {
        switch self {
        case .rejected(let code, let reason): "transaction refused (code \(code.rawValue)): \(reason)"
        case .blocksOnly: "this node is blocks-only, without a mempool: send transactions to another"
        case .commitTimeout(let id): "transaction \(id) was accepted but not committed in time"
        case .query(let reason), .busy(let reason), .failed(let reason): reason
        case .stopped(let height):
            "stopped while the block log was executed; the next start goes on after height \(height)"
        }
    }
}

/// Where a node stands.
public struct NodeStatus: Sendable {
    /// What the node does in consensus now.
    public enum Role: String, Sendable {
        case leader, validator, sentry
    }

    /// `<public key hex>#<key type>`.
    public var nodeID: String
    /// libp2p's, in base58.
    public var peerID: String
    /// leader, validator or sentry.
    public var role: Role
    /// Latest committed block; 0 and zero hashes before the first.
    public var height: Int64
    /// Of the latest committed block.
    public var blockHash: Hash
    /// After the latest committed block.
    public var appHash: Hash
    /// Milliseconds since 1970 of the latest block's header, 0 before the first.
    public var blockTimestamp: UInt64
    /// Whether the node is behind the best height that it has heard of.
    public var isSyncing: Bool
    /// What is said against this node's clock, or the leader's, at present; one line.
    public var clockDoubt: String?
    /// Connected peers.
    public var peerCount: Int
    /// Unconfirmed transactions.
    public var mempoolCount: Int
    /// Bytes of unconfirmed transactions.
    public var mempoolSize: Int
    /// Transactions committed since the first block.
    public var transactionCount: UInt64
    /// `io_uring`, `epoll`, with the reason where it was not the first choice.
    public var reactor: String
    /// Multiaddrs that the node listens on.
    public var listenAddresses: [String]
    /// Whether the node keeps no mempool.
    public var isBlocksOnly = false
    /// Whether transactions of the next block cost gas.
    public var hasGasCosts = false
    /// Why what the node says of the chain may be wrong, in one sentence; nil when nothing speaks against it.
    public var trouble: String?

    /// Whether the node is level with its network, as far as it can know, and knows enough to say so.
    public var isHealthy: Bool { !isSyncing && trouble == nil }
}

/// What the chain's committed blocks say of the next one.
public struct NetworkState: Sendable {
    /// Of the latest committed block.
    public var height: Int64
    /// Leader and limits of the next block.
    public var parameters: NetworkParameters
    /// Who votes on the next block.
    public var validators: ValidatorSet

    /// All members.
    public init(height: Int64, parameters: NetworkParameters, validators: ValidatorSet) {
        self.height = height
        self.parameters = parameters
        self.validators = validators
    }
}

/// What became of a broadcast transaction.
public struct BroadcastOutcome: Sendable {
    /// The transaction ID.
    public var id: Hash
    /// Nil unless the caller waited for the commit.
    public var result: TransactionResult?

    /// All members.
    public init(id: Hash, result: TransactionResult?) {
        self.id = id
        self.result = result
    }
}

/// A transaction that the node knows.
public struct KnownTransaction: Sendable {
    /// Its whole encoding.
    public var bytes: SharedBytes
    /// -1 while unconfirmed.
    public var height: Int64
    /// Position in its block.
    public var index: UInt32
    /// Nil while unconfirmed.
    public var result: TransactionResult?

    /// All members.
    public init(bytes: SharedBytes, height: Int64, index: UInt32, result: TransactionResult?) {
        self.bytes = bytes
        self.height = height
        self.index = index
        self.result = result
    }
}
