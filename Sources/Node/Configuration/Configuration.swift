import Chain
import Consensus
import Crypto
import Execution
import Reactor

/// The settings of a node: those in `config.toml` in its root directory, and defaults for the rest.
///
/// Sections and keys are kwil-db's where it has them (docs/wire.md, section 9). `Configuration.keys` is the one source
/// of truth: the parser, the sample file and `docs/configuration.md` are generated from it.
public struct Configuration: Sendable, Equatable {
    /// `[log]`
    public struct Log: Sendable, Equatable {
        /// `log.level`
        public var level = "info"
        /// `log.format`
        public var format = "auto"
    }

    /// `[p2p]`
    public struct P2P: Sendable, Equatable {
        /// `p2p.listen`
        public var listen = ["0.0.0.0:6600"]
        /// `p2p.pex`
        public var pex = true
        /// `p2p.bootnodes`
        public var bootnodes: [String] = []
        /// `p2p.private`
        public var isPrivate = false
        /// `p2p.whitelist`
        public var whitelist: [String] = []
        /// `p2p.sentries`
        public var sentries: [String] = []
        /// `p2p.private_peers`
        public var privatePeers: [String] = []
        /// `p2p.blocklist`
        public var blocklist: [String] = []
        /// `p2p.target_connections`
        public var targetConnections = 20
        /// `p2p.max_connections`
        public var maxConnections = 200
        /// `p2p.external_address`
        public var externalAddress = ""
        /// `p2p.security`
        public var security = ["noise"]
        /// `p2p.perf`
        public var perf = false
    }

    /// `[consensus]`
    public struct Consensus: Sendable, Equatable {
        /// `consensus.propose_timeout`
        public var proposeTimeout = Duration.milliseconds(1000)
        /// `consensus.empty_block_timeout`
        public var emptyBlockTimeout = Duration.seconds(60)
        /// `consensus.block_proposal_interval`
        public var blockProposalInterval = Duration.seconds(1)
        /// `consensus.block_ann_interval`
        public var blockAnnounceInterval = Duration.seconds(3)
        /// `consensus.promote_leader`
        public var promoteLeader = ""
        /// `consensus.promote_height`
        public var promoteHeight = 0

        /// Returns the leader that the operator promotes; nil if there is none.
        func promotion() throws -> Promotion? {
            guard !promoteLeader.isEmpty else { return nil }
            guard promoteHeight > 0 else {
                throw NodeError.failed(
                    "consensus.promote_leader is set, but not consensus.promote_height: set both")
            }
            do {
                return Promotion(leader: try PublicKey(nodeID: promoteLeader), height: Int64(promoteHeight))
            } catch {
                throw NodeError.failed("consensus.promote_leader: \"\(promoteLeader)\": \(error)")
            }
        }
    }

    /// `[mempool]`
    public struct Mempool: Sendable, Equatable {
        /// `mempool.enabled`
        public var isEnabled = true
        /// `mempool.max_size`
        public var maxSize = 200_000_000
        /// `mempool.max_transactions`
        public var maxTransactions = 50_000
        /// `mempool.max_per_sender`
        public var maxPerSender = 20_000
        /// `mempool.max_age`
        public var maxAge = Duration.seconds(3600)
        /// `mempool.reannounce_interval`
        public var reannounceInterval = Duration.seconds(30)
    }

    /// `[rpc]`
    public struct RPC: Sendable, Equatable {
        /// `rpc.listen`
        public var listen = ["127.0.0.1:8484"]
        /// `rpc.broadcast_tx_timeout`
        public var broadcastTxTimeout = Duration.seconds(15)
        /// `rpc.timeout`
        public var timeout = Duration.seconds(20)
        /// `rpc.max_req_size`; 0 for as much as the chain's largest transaction needs.
        public var maxRequestSize = 0
        /// `rpc.max_connections`
        public var maxConnections = 8_192
        /// `rpc.max_connections_per_address`
        public var maxConnectionsPerAddress = 1_024
    }

    /// `[metrics]`
    public struct Metrics: Sendable, Equatable {
        /// `metrics.enabled`
        public var isEnabled = false
        /// `metrics.listen`
        public var listen = ["127.0.0.1:8485"]
    }

    /// `[storage]`
    public struct Storage: Sendable, Equatable {
        /// `storage.keep_blocks`
        public var keepBlocks = 0
    }

    /// `[execution]`
    public struct Execution: Sendable, Equatable {
        /// `execution.application`
        public var application = "sql"
        /// `execution.cache_size`
        public var cacheSize = SQLApplication.defaultCacheBytes
    }

    /// `[queries]`
    public struct Queries: Sendable, Equatable {
        /// `queries.processes`
        public var processes = 3
        /// `queries.cache_size`
        public var cacheSize = 2 << 20

        /// The defaults.
        public init() {}
    }

    /// `[reactor]`
    public struct Reactor: Sendable, Equatable {
        /// `reactor.driver`
        public var driver = "auto"
        /// `reactor.check_threads`; 0 for one for each processor but one.
        public var checkThreads = 0
    }

    /// `[log]`
    public var log = Log()
    /// `[p2p]`
    public var p2p = P2P()
    /// `[consensus]`
    public var consensus = Consensus()
    /// `[mempool]`
    public var mempool = Mempool()
    /// `[rpc]`
    public var rpc = RPC()
    /// `[metrics]`
    public var metrics = Metrics()
    /// `[storage]`
    public var storage = Storage()
    /// `[execution]`
    public var execution = Execution()
    /// `[queries]`
    public var queries = Queries()
    /// `[reactor]`
    public var reactor = Reactor()

    /// Creates the default configuration.
    public init() {}
}

extension Configuration.RPC {
    /// The minimum that `max_req_size` 0 stands for: kwil-db's default.
    static let leastRequestSize = 6_000_000
    /// The bytes of a broadcast request besides its payload: signature, sender, description, chain ID and JSON.
    static let requestFrame = 8_192

    /// Returns the maximum size of a request body, in bytes: `max_req_size`, or what the largest transaction takes in
    /// base64.
    public func requestLimit(_ parameters: NetworkParameters) -> Int {
        maxRequestSize > 0 ? maxRequestSize : max(Self.leastRequestSize, Self.request(with: parameters))
    }

    /// Returns whether a request may be too small for the largest transaction that the chain allows.
    public func cutsTransactions(_ parameters: NetworkParameters) -> Bool {
        requestLimit(parameters) < Self.request(with: parameters)
    }

    private static func request(with parameters: NetworkParameters) -> Int {
        (parameters.transactionLimit + 2) / 3 * 4 + requestFrame
    }
}

extension Configuration.Reactor {
    /// The number of threads that check signatures: `check_threads`, or one for each processor but the reactor's.
    var checkThreadCount: Int {
        if checkThreads > 0 { return checkThreads }
        return min(max(Processors.available - 1, 1), NodeContext.mostCheckThreads)
    }
}
