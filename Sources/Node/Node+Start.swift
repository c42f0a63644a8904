import Bytes
import Chain
import Crypto
import Execution
import Glibc
import LibP2P
import Log
import Metrics
import Multiformats
import Peers
import Reactor
import Storage
import Synchronization

extension Node {
    /// Opens the files of a root directory, brings the application to the tip of the block log, listens and dials.
    ///
    /// - Parameters:
    ///   - credential: the path of the key, if a service manager has passed it; nil for that of the root directory.
    ///   - hasQueryProcesses: whether to run queries in processes of the running program, which must handle
    ///     `QueryWorker.command`.
    ///   - progress: see `NodeEnvironment`.
    /// - Throws: an error whose one-line description says what is wrong and where.
    public nonisolated static func start(
        root: RootDirectory, credential: String? = nil, configuration: Configuration, log: Log = .silent,
        metrics: MetricsRegistry = MetricsRegistry(), hasQueryProcesses: Bool = false,
        progress: @escaping @Sendable (StartProgress) -> Void = { _ in }
    ) async throws -> Node {
        let genesis = try Genesis.load(root.genesisFile)
        let key =
            try credential.map { try KeyFile.load($0, isCredential: true) } ?? KeyFile.load(root.keyFile)
        try Reactor.start(Reactor.DriverKind(rawValue: configuration.reactor.driver) ?? .auto)
        for directory in [root.blocksDirectory, root.applicationDirectory] {
            try DirectoryTree.create(directory)
        }
        let cancellation = Cancellation()
        let disk = SystemDisk(
            timing: metrics.histogram(
                "apus_fsync_seconds", "Time of each fsync of the block log and the vote log."))
        var environment = NodeEnvironment(
            openStores: {
                (
                    try BlockStore(directory: root.blocksDirectory, disk: disk) { height in
                        progress(.reading(height: height))
                        return !cancellation.isDone.load(ordering: .relaxed)
                    },
                    try VoteLog(directory: root.blocksDirectory, disk: disk)
                )
            },
            openApplication: {
                guard configuration.execution.application == "sql" else { return NoopApplication() }
                return try SQLApplication(
                    directory: root.applicationDirectory, cacheBytes: configuration.execution.cacheSize)
            },
            peerStore: try PeerStore.recovering(
                path: root.addressBookFile,
                worker: Worker(name: "peers", capacity: NodeContext.workerCapacity),
                log: log.of("peerstore")),
            wallClock: { UInt64(clamping: WallClock.milliseconds) })
        environment.log = log
        environment.progress = progress
        environment.metrics = metrics
        environment.mempoolFile = root.mempoolFile
        if hasQueryProcesses, configuration.execution.application == "sql" {
            environment.queries = queryPlacement(root, configuration, log)
        }
        do {
            return try await withTaskCancellationHandler { [environment] in
                try await start(
                    genesis: genesis, key: key, configuration: configuration, environment: environment)
            } onCancel: {
                cancellation.isDone.store(true, ordering: .relaxed)
            }
        } catch StorageError.interrupted {
            throw NodeError.stopped(height: nil)
        }
    }

    /// Whether a start has been cancelled, for the thread that opens the stores.
    private final class Cancellation: Sendable {
        let isDone = Atomic(false)
    }

    private nonisolated static func queryPlacement(
        _ root: RootDirectory, _ configuration: Configuration, _ log: Log
    ) -> QueryPlacement {
        let database = SQLApplication.path(in: root.applicationDirectory)
        if let program = QueryProgram(database: database, cacheBytes: configuration.queries.cacheSize) {
            return .processes(program)
        }
        log.warning(
            "queries run inside the node: /proc/self/exe cannot be opened",
            ["reason": .text(String(cString: strerror(errno)))])
        return .inProcess
    }

    /// Starts a node with the identity `key` on the chain of `genesis`, on the reactor of the calling thread or else
    /// the default one.
    ///
    /// - Throws: an error whose one-line description says what is wrong and where; `NodeError.stopped` if the task is
    /// cancelled while the block log is executed.
    public nonisolated static func start(
        genesis: Genesis, key: PrivateKey, configuration: Configuration, environment: NodeEnvironment
    ) async throws -> Node {
        let log = environment.log
        let opening = Worker(name: "opening", capacity: 1)
        defer { opening.stop() }
        let (store, votes, application) = try await opening.run {
            let (store, votes) = try environment.openStores()
            return (store, votes, try environment.openApplication())
        }
        if !store.recovery.isClean {
            log.warning("block log recovered", ["what": .of(store.recovery)])
        }
        let outcome = try await recover(genesis, store, votes, application, environment, on: opening)
        let listen = try await Configuration.resolve(configuration.p2p.listen, of: "p2p.listen")
            .map { Multiaddr(ip: $0.ip, tcp: $0.port) }
        let announced =
            configuration.p2p.externalAddress.isEmpty
            ? [] : [try PeerAddress.transport(configuration.p2p.externalAddress)]
        return try await Reactor.run { [outcome] in
            let gate = PeerGate(
                rules: try PeerRules(configuration.p2p, own: key.publicKey.peerID), log: log,
                wallClock: environment.wallClock, onBrokenInvariant: environment.observer.brokenInvariant)
            var host = hostConfiguration(genesis, key, configuration, environment, listen, announced)
            host.connectionGater = gate
            let metrics = NodeMetrics(environment.metrics)
            host.metrics = metrics.host
            let worker = { environment.makeWorker($0, NodeContext.workerCapacity, .thread) }
            let pool = Worker.Kind.pool(threads: configuration.reactor.checkThreadCount)
            let queries = Self.queryService(configuration.queries, environment, application, metrics, worker)
            let context = NodeContext(
                genesis: genesis, key: key, configuration: configuration, host: Host(host), store: store,
                chain: ChainReader(store), votes: votes, application: application, log: log,
                metrics: metrics,
                consensus: worker("consensus"), execution: worker("execution"), storage: worker("storage"),
                indexing: worker("index"),
                mempool: worker("mempool"),
                checks: environment.makeWorker("checks", NodeContext.workerCapacity, pool),
                serving: worker("serving"), blocks: worker("blocks"), accounts: worker("accounts"),
                queries: queries,
                wallClock: environment.wallClock,
                observer: environment.observer, traces: NodeTraces(),
                stateInterval: environment.stateInterval,
                takesCompactProposals: environment.takesCompactProposals && configuration.mempool.isEnabled,
                mempoolFile: environment.mempoolFile.map { MempoolFile($0, genesis, configuration.mempool) })
            let node = try Node(context, gate, outcome)
            do {
                try await node.run()
            } catch {
                await node.stop()
                throw error
            }
            return node
        }
    }

    /// Brings the application to the tip of the block log. Closes both if that fails.
    private nonisolated static func recover(
        _ genesis: Genesis, _ store: BlockStore, _ votes: VoteLog, _ application: any Application,
        _ environment: NodeEnvironment, on worker: Worker
    ) async throws -> ChainRecovery.Outcome {
        let log = environment.log
        let outcome: ChainRecovery.Outcome
        do {
            outcome = try await ChainRecovery.run(
                genesis: genesis, store: store, votes: votes, application: application, log: log, on: worker,
                progress: environment.progress)
        } catch {
            try? await worker.run {
                application.close()
                try? store.close()
            }
            throw error
        }
        if outcome.replayed > 0 {
            log.info("blocks of the log executed", ["blocks": .number(outcome.replayed)])
        }
        return outcome
    }

    private nonisolated static func hostConfiguration(
        _ genesis: Genesis, _ key: PrivateKey, _ configuration: Configuration, _ environment: NodeEnvironment,
        _ listen: [Multiaddr], _ announced: [Multiaddr]
    ) -> HostConfiguration {
        var host = HostConfiguration(identity: key, listenAddresses: listen)
        host.announceAddresses = announced
        host.agentVersion = NodeVersion.agent
        host.chainID = genesis.chainID
        host.securityProtocols = configuration.p2p.security.map {
            switch $0 {
            case "noise-chainID": .noiseChainID
            case "plaintext": .plaintext
            default: .noise
            }
        }
        host.limits.admitPeers(configuration.p2p.maxConnections)
        host.peerStore = environment.peerStore
        host.misbehaviour = Misbehaviour.ofDialler
        host.log = environment.log.of("libp2p")
        host.dialFrom = environment.dialFrom
        host.noiseKeys = environment.noiseKeys
        return host
    }

    @ReactorActor
    private static func queryService(
        _ configuration: Configuration.Queries, _ environment: NodeEnvironment,
        _ application: any Application, _ metrics: NodeMetrics, _ worker: (String) -> Worker
    ) -> any QueryService {
        switch environment.queries {
        case .inProcess: return InProcessQueries(application, worker("queries"))
        case .processes(let program):
            let log = environment.log.of("queries")
            let pool = QueryPool(
                (0..<configuration.processes).map { QueryProcess(program, worker("queries-\($0)"), log) },
                metrics.queries)
            pool.start()
            return pool
        }
    }
}
