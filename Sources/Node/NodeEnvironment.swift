import Execution
import LibP2P
import Log
import Metrics
import Reactor
import Storage

/// What a node needs besides its configuration: stores, clocks and randomness. In production it is made from a root
/// directory (`Node.start(root:configuration:)`), in a simulation for each node.
public struct NodeEnvironment: Sendable {
    /// Opens the block log and the vote log. Called once, on a worker.
    public var openStores: @Sendable () throws -> (BlockStore, VoteLog)
    /// Opens the application. Called once, after the stores.
    public var openApplication: @Sendable () throws -> any Application
    /// The address book.
    public var peerStore: PeerStore
    /// The wall clock, in milliseconds since 1970. Callable from any thread.
    public var wallClock: @Sendable () -> UInt64
    /// The file of unconfirmed transactions while the node is stopped; nil to forget them.
    public var mempoolFile: String?
    /// The number of blocks after which the chain's state is kept again, so that a start after a crash follows few.
    public var stateInterval: Int64 = 512
    /// Whether the node takes proposals in the compact form, if it has a mempool. Nodes of other makes do not.
    public var takesCompactProposals = true
    /// Where queries run.
    public var queries = QueryPlacement.inProcess
    /// The node's log.
    public var log = Log.silent
    /// Called on any thread, very often, while the node starts.
    public var progress: @Sendable (StartProgress) -> Void = { _ in }
    /// Where the node's metrics are.
    public var metrics = MetricsRegistry()
    /// Called when the node does something irreversible.
    public var observer = NodeObserver()
    /// The address to dial from; nil leaves the choice to the kernel.
    public var dialFrom: SocketAddress?
    /// Makes the keys of Noise handshakes.
    public var noiseKeys: @Sendable () throws(LibP2PError) -> NoiseKeyPair = NoiseKeyPair.generate
    /// Makes a worker, given its name (`consensus`, `mempool`, `execution`, `storage`, `index`, `checks`, `serving`,
    /// `blocks`, `accounts`, `queries`, or `queries-0` and so on), the capacity of its queue, in jobs, and its threads.
    public var makeWorker: @Sendable (_ name: String, _ capacity: Int, _ kind: Worker.Kind) -> Worker = {
        Worker(name: $0, capacity: $1, kind: $2)
    }

    /// Creates an environment from its required parts.
    public init(
        openStores: @escaping @Sendable () throws -> (BlockStore, VoteLog),
        openApplication: @escaping @Sendable () throws -> any Application, peerStore: PeerStore,
        wallClock: @escaping @Sendable () -> UInt64
    ) {
        self.openStores = openStores
        self.openApplication = openApplication
        self.peerStore = peerStore
        self.wallClock = wallClock
    }
}
