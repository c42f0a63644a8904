import Execution
import LibP2P
import Log
import Reactor
import Storage

/// What a node takes from the world beside its configuration: stores, clocks and randomness. Production has one, made
/// from a root directory (`Node.start(root:configuration:)`); a simulation makes one for each of its nodes.
public struct NodeEnvironment: Sendable {
    /// Opens the block log and the vote log. Called once, on a worker.
    public var openStores: @Sendable () throws -> (BlockStore, VoteLog)
    /// Opens the application. Called once, after the stores.
    public var openApplication: @Sendable () throws -> any Application
    /// What is remembered of peers.
    public var peerStore: PeerStore
    /// Milliseconds since 1970. From any thread.
    public var wallClock: @Sendable () -> UInt64
    /// The file that keeps the transactions that wait while the node is stopped; nil to forget them.
    public var mempoolFile: String?
    /// Where queries run.
    public var queries = QueryPlacement.inProcess
    /// Where the node says what happens.
    public var log = Log.silent
    /// Told of what the node does that cannot be taken back.
    public var observer = NodeObserver()
    /// The address to dial from; nil leaves the choice to the kernel.
    public var dialFrom: SocketAddress?
    /// Makes the keys of Noise handshakes.
    public var noiseKeys: @Sendable () throws(LibP2PError) -> NoiseKeyPair = NoiseKeyPair.generate
    /// Makes a worker from its name (`consensus`, `mempool`, `execution`, `storage`, `checks`, `consensus-check`, `proofs-0`,
    /// `proofs-1`, `serving`, `lookups` or `queries`) and the number of jobs that may be queued.
    public var makeWorker: @Sendable (_ name: String, _ capacity: Int) -> Worker = {
        Worker(name: $0, capacity: $1)
    }

    /// An environment by its parts.
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
