import Chain
import Consensus
import Crypto
import Execution
import LibP2P
import Log
import Mempool
import Multiformats
import Protocols
import Reactor
import Storage
import Synchronization

/// A whole node, put together from a root directory: stores, application, libp2p host and the services that join
/// them (docs/architecture.md).
///
/// Its services live on the reactor; what `NodeInterface` offers may be called from any thread.
@ReactorActor
public final class Node {
    /// The network that the node belongs to.
    public nonisolated let genesis: Genesis
    nonisolated let application: any Application
    nonisolated let store: BlockStore
    nonisolated let lookups: Worker
    nonisolated let queries: any QueryService
    /// Whether the log has been told of a database that a query found corrupt.
    nonisolated let corruption = Mutex(false)
    /// The loop that the services live on, and that whoever asks from another one crosses to.
    nonisolated let home: EventLoop
    nonisolated let snapshots = NodeSnapshots()

    let context: NodeContext
    let consensus: ConsensusService
    let mempool: MempoolService
    let peers: PeerService
    let sync: SyncService
    private let blocks: BlockService
    private let exchange: TransactionExchange
    private let gossip: GossipService
    private(set) var transactions: UInt64
    /// The role of which a blocks-only node has warned.
    private var role = RoleName.sentry
    private(set) var isStopped = false
    private(set) var ending: NodeError?
    private var endWaiters: [CheckedContinuation<NodeError?, Never>] = []
    let commitWaiters = CommitWaiters()

    // MARK: Start

    init(_ context: NodeContext, _ outcome: ChainRecovery.Outcome) throws {
        self.context = context
        home = Reactor.loop
        genesis = context.genesis
        application = context.application
        store = context.store
        lookups = context.lookups
        queries = context.queries
        transactions = outcome.transactions
        mempool = MempoolService(context)
        consensus = try ConsensusService(context, mempool, outcome)
        peers = try PeerService(context)
        sync = SyncService(context, consensus)
        blocks = BlockService(context)
        exchange = TransactionExchange(
            context.host, mempool, isBlocksOnly: !context.configuration.mempool.isEnabled)
        gossip = GossipService(context, consensus)
    }

    /// Joins the services, serves and dials.
    func run() throws {
        let role = consensus.view.role
        guard context.configuration.mempool.isEnabled || role == .sentry else {
            throw NodeError.failed(
                "mempool.enabled is false, but this node is a \(role), which needs transactions")
        }
        warnOfSmallMempool()
        join()
        try serve()
    }

    private func join() {
        mempool.isLeader = { [weak consensus] in consensus?.view.role == .leader }
        let parameters = genesis.parameters
        mempool.parameters = { [weak consensus] in consensus?.view.state.parameters ?? parameters }
        consensus.onSyncing = { [weak mempool, snapshots] in
            mempool?.syncing($0)
            snapshots.invalidate()
        }
        consensus.onProven = { [weak peers] in peers?.proved($0) }
        sync.onProven = consensus.onProven
        consensus.onClockDoubt = { [snapshots] in snapshots.invalidate() }
        mempool.onChange = { [weak consensus] in consensus?.mempoolChanged($0) }
        peers.membership = { [weak consensus] in PeerService.Membership(consensus?.view) }
        mempool.isTrusted = { [weak peers] in (peers?.rank(of: $0) ?? .stranger) != .stranger }
        sync.rank = { [weak peers] in peers?.rank(of: $0) ?? .stranger }
        blocks.rank = { [weak peers] in peers?.rank(of: $0) ?? .stranger }
        consensus.rank = { [weak peers] in peers?.rank(of: $0) ?? .stranger }
        gossip.rank = { [weak peers] in peers?.rank(of: $0) ?? .stranger }
        peers.onReady = { [weak self] in self?.peerReady($0) }
        peers.onProcess = { [weak gossip] in gossip?.keys.identified($0, as: $1) }
        peers.onGone = { [weak self] peer in
            self?.exchange.peerLeft(peer)
            self?.mempool.peerLeft(peer)
            self?.sync.peerGone(peer)
            self?.gossip.peerLeft(peer, isTrusted: self?.peers.rank(of: peer) ?? .stranger != .stranger)
            self?.consensus.peerGone(peer)
        }
        consensus.onCommit = { [weak self] block, result in self?.committed(block, result) }
        consensus.onHalt = { [weak self] error in self?.end(.failed("consensus stopped: \(error)")) }
    }

    private func serve() throws {
        gossip.start()
        sync.start()
        blocks.start()
        mempool.start(exchange)
        if context.configuration.p2p.perf {
            context.host.setStreamHandler(.perf) { await Perf.respond(on: $0) }
        }
        consensus.start()
        limitBytes()
        do { try context.host.start() } catch {
            throw NodeError.failed("cannot listen for peers (p2p.listen): \(error)")
        }
        peers.start()
        let state = consensus.view.state
        context.log.info(
            "node started",
            [
                "id": .text(context.key.publicKey.nodeID), "role": .text("\(role)"),
                "height": .number(state.height), "reactor": .text(Reactor.driverDescription),
                "listen": .text(context.host.listenAddresses.map(\.description).joined(separator: " ")),
            ])
    }

    /// What the mempool has no room for is refused for ever, though a block could hold it.
    private func warnOfSmallMempool() {
        let (size, limit) = (
            context.configuration.mempool.maxSize, consensus.view.state.parameters.transactionLimit
        )
        guard context.configuration.mempool.isEnabled, size < limit else { return }
        context.log.warning(
            "mempool.max_size is too small for the longest transactions of this chain",
            ["mempool.max_size": .number(size), "transaction": .number(limit)])
    }

    /// What is held for peers follows what the chain calls large.
    private func limitBytes() {
        let block = Int(clamping: consensus.view.state.parameters.maxBlockSize)
        let (perPeer, total) = ResourceLimits.bytes(forBlocksOf: block)
        context.host.setByteLimits(perPeer: perPeer, total: total)
    }

    private func peerReady(_ peer: PeerID) {
        exchange.peerReady(peer)
        mempool.peerReady(peer)
        sync.peerReady(peer)
        gossip.peerReady(peer)
        consensus.feed(.peerReady(peer))
    }

    private func committed(_ block: CheckedBlock, _ result: ExecutionResult) {
        transactions &+= UInt64(block.transactions.count)
        sync.committed(block.height)
        mempool.advanced(to: block.header.timestamp)
        gossip.committed(block.height)
        peers.chainChanged()
        limitBytes()
        context.log.info(
            "block committed",
            [
                "height": .number(block.height), "hash": .of(block.hash), "app_hash": .of(result.appHash),
                "transactions": .number(block.transactions.count),
            ])
        warnOfRole()
        snapshots.invalidate()
        commitWaiters.committed(block.transactions, result.results)
    }

    /// A blocks-only node knows no transactions that it could propose or check in advance.
    private func warnOfRole() {
        guard !context.configuration.mempool.isEnabled, consensus.view.role != role else { return }
        role = consensus.view.role
        guard role != .sentry else { return }
        context.log.warning(
            "this node needs transactions now, but mempool.enabled is false", ["role": .text("\(role)")])
    }

    // MARK: End

    /// Stops the services, then the host, then the workers; returns when the stores are closed.
    public nonisolated func stop() async {
        // What executes is not waited for: the next start executes it again.
        application.stop()
        await home.perform { await self.shutDown() }
    }

    private func shutDown() async {
        guard !isStopped else { return }
        isStopped = true
        consensus.stop()
        sync.stop()
        blocks.stop()
        mempool.stop()
        gossip.stop()
        peers.stop()
        await context.host.stop()
        await mempool.finish()
        await peers.saveBook()
        await queries.stop()
        for worker in [context.checks, context.consensusChecks, context.serving] + context.proofs {
            worker.stop()
        }
        // Whoever still refers to this node must not keep the database open, nor a block executed in it locked.
        let application = context.application
        try? await context.execution.finish { application.close() }
        lookups.stop()
        let store = store
        do {
            try await context.storage.finish { try store.close() }
        } catch {
            context.log.error("block log not closed", ["reason": .error(error)])
        }
        commitWaiters.stop()
        for waiter in endWaiters { waiter.resume(returning: ending) }
        endWaiters = []
    }

    /// Lets go of everything as a crash does: nothing is written or sent any more, and whoever waits is told that it
    /// failed. The disk and the network must be cut off before.
    public func abandon() {
        guard !isStopped else { return }
        isStopped = true
        let workers = [
            context.execution, context.storage, context.mempool, context.checks, context.consensusChecks,
            context.serving, lookups,
        ]
        queries.abandon()
        for worker in workers + context.proofs { worker.abandon() }
        consensus.abandon()
        sync.stop()
        blocks.stop()
        mempool.abandon()
        gossip.stop()
        application.close()
        peers.stop()
        commitWaiters.stop()
        for waiter in endWaiters { waiter.resume(returning: ending) }
        endWaiters = []
        Reactor.spawn { await self.context.host.stop() }
    }

    private func end(_ error: NodeError) {
        context.log.critical("the node cannot go on", ["reason": .error(error)])
        ending = ending ?? error
        for waiter in endWaiters { waiter.resume(returning: error) }
        endWaiters = []
    }

    /// Returns why the node cannot go on by itself, when that happens; nil once it is stopped.
    public nonisolated func failure() async -> NodeError? {
        await home.perform { await self.untilEnd() }
    }

    private func untilEnd() async -> NodeError? {
        if isStopped || ending != nil { return ending }
        return await withCheckedContinuation { endWaiters.append($0) }
    }
}
