import Chain
import Consensus
import Crypto
import Execution
import LibP2P
import Log
import Mempool
import Multiformats
import Peers
import Reactor
import Storage
import Synchronization

/// A whole node: builds the graph of its services, runs them, and routes events between them (docs/architecture.md).
/// `Node+Start.swift` opens the stores and makes the workers.
///
/// The services live on the reactor. The methods of `NodeInterface` may be called from any thread.
@ReactorActor
public final class Node {
    /// The network that the node belongs to.
    public nonisolated var genesis: Genesis { context.genesis }
    /// Whether a query has found the database corrupt, which is logged once.
    nonisolated let corruption = Mutex(false)
    /// The loop of the services, which callers from other threads cross to.
    package nonisolated let home: EventLoop
    nonisolated let snapshots = NodeSnapshots()

    nonisolated let context: NodeContext
    /// The configuration in force: the one of the start, with the values that were reloaded since.
    private(set) var configuration: Configuration
    let peers: PeerService
    let mempool: MempoolService
    let consensus: ConsensusService
    let sync: SyncService
    private let blocks: BlockService
    private let gossip: GossipService
    private let book: AddressBook
    let services = ServiceGroup()
    let commitWaiters = CommitWaiters()
    /// The number of transactions in the chain.
    private(set) var transactions: UInt64
    /// The last role that a blocks-only node warned about.
    private var role = RoleName.sentry
    var isStopped = false
    private(set) var ending: NodeError?
    let awaitingEnd = WaitQueue()

    // MARK: Graph

    /// `gate` is the host's.
    init(_ context: NodeContext, _ gate: PeerGate, _ outcome: ChainRecovery.Outcome) throws {
        self.context = context
        configuration = context.configuration
        home = Reactor.loop
        transactions = outcome.transactions
        let (host, log) = (context.host, context.log)
        book = AddressBook(host.configuration.peerStore, log: log)
        peers = PeerService(
            host: host, gate: gate, genesis: context.genesis, membership: Membership(.sentry, outcome.state),
            bans: context.metrics.bans, log: log)
        let gossipsub = Gossipsub(
            host, configuration: GossipService.configuration,
            // Above every earlier number of this identity: no node publishes a thousand messages per millisecond.
            firstSequence: context.wallClock() &* 1000)
        mempool = MempoolService(
            context, peers, MempoolService.Rules(isLeader: false, parameters: outcome.state.parameters))
        consensus = try ConsensusService(context, mempool, peers, gossipsub, outcome)
        sync = SyncService(context, consensus, peers)
        blocks = BlockService(context, peers)
        gossip = GossipService(context, consensus, peers, gossipsub)
        addMetrics()
    }

    /// Starts the services. They stop in reverse order: dialling first, then the host with all connections, and so on.
    func run() async throws {
        try checkMempool()
        follow(consensus.view)
        limitBytes()
        if context.configuration.p2p.perf {
            context.host.register(Perf())
        }
        do {
            try await services.start([book, gossip, blocks, mempool, sync, consensus, context.host, peers])
        } catch let error as LibP2PError {
            throw NodeError.failed("cannot listen for peers (p2p.listen): \(error)")
        }
        route(peers.events) { $0.peerEvent($1) }
        route(consensus.events) { $0.consensusEvent($1) }
        route(mempool.events) { $0.mempoolEvent($1) }
        route(services.failures) { $0.end(.failed("consensus stopped: \($1)")) }
        logStart()
    }

    // MARK: Events

    /// Passes the events of a channel to the node, in order, while both exist.
    private func route<Event>(
        _ events: EventChannel<Event>, _ handle: @escaping @ReactorActor (Node, Event) -> Void
    ) {
        Reactor.spawn { [weak self] in
            while let event = await events.next() {
                guard let self else { return }
                handle(self, event)
            }
        }
    }

    private func peerEvent(_ event: PeerEvent) {
        switch event {
        case .identified(let peer, let process): gossip.keys.identified(peer, as: process)
        case .ready(let peer):
            mempool.peerReady(peer)
            sync.peerReady(peer)
            gossip.peerReady(peer)
            consensus.feed(.peerReady(peer))
        case .gone(let peer):
            mempool.peerLeft(peer)
            sync.peerGone(peer)
            gossip.peerLeft(peer)
            consensus.peerGone(peer)
        }
    }

    private func consensusEvent(_ event: ConsensusService.Event) {
        switch event {
        case .view(let view, let before): viewChanged(view, before)
        case .committed(let blocks): committed(blocks)
        case .behind(let height, let peer): sync.catchUp(to: height, from: peer)
        case .proven(let height): sync.proven(height)
        }
    }

    private func mempoolEvent(_ event: MempoolService.Event) {
        switch event {
        case .changed(let change): consensus.mempoolChanged(change)
        case .lost(let losses): for loss in losses { commitWaiters.lost(loss) }
        }
    }

    private func viewChanged(_ view: ConsensusView, _ before: ConsensusView) {
        if view.isSyncing != before.isSyncing { mempool.syncing(view.isSyncing) }
        if view.isSyncing != before.isSyncing || view.clockDoubt != before.clockDoubt {
            snapshots.invalidate()
        }
        let (state, old) = (view.state, before.state)
        guard
            view.role != before.role || state.leader != old.leader
                || state.validatorSetHash != old.validatorSetHash
                || state.parametersHash != old.parametersHash
        else { return }
        follow(view)
        limitBytes()
        warnOfRole()
    }

    /// Passes a new role, leader, validator set or parameters to the services.
    private func follow(_ view: ConsensusView) {
        mempool.follow(
            MempoolService.Rules(isLeader: view.role == .leader, parameters: view.state.parameters))
        peers.follow(Membership(view.role, view.state))
    }

    private func committed(_ blocks: [(CheckedBlock, ExecutionResult)]) {
        guard let (last, result) = blocks.last else { return }
        for (block, result) in blocks {
            transactions &+= UInt64(block.transactions.count)
            let succeeded = result.results.count(where: \.isOK)
            context.metrics.blocks.add()
            context.metrics.transactions[.ok].add(UInt64(succeeded))
            context.metrics.transactions[.failed].add(UInt64(result.results.count - succeeded))
        }
        sync.committed(last.height)
        mempool.advanced(to: last.header.timestamp)
        gossip.committed(last.height)
        logCommit(of: blocks, last, result.appHash)
        snapshots.invalidate()
        for (block, result) in blocks {
            if context.log.takes(.debug) { logTransactions(of: block, result) }
            commitWaiters.committed(block.transactions, result.results)
        }
    }

    private func logCommit(
        of blocks: [(CheckedBlock, ExecutionResult)], _ last: CheckedBlock, _ appHash: Hash
    ) {
        let transactions = blocks.reduce(0) { $0 + $1.0.transactions.count }
        if blocks.count == 1 {
            context.log.info(
                "block committed",
                [
                    "height": .number(last.height), "block": .of(last.hash), "app_hash": .of(appHash),
                    "transactions": .number(transactions),
                ])
        } else {
            context.log.info(
                "blocks committed together",
                [
                    "height": .number(last.height), "block": .of(last.hash), "app_hash": .of(appHash),
                    "blocks": .number(blocks.count), "transactions": .number(transactions),
                ])
        }
    }

    private func logTransactions(of block: CheckedBlock, _ result: ExecutionResult) {
        for (transaction, outcome) in zip(block.transactions, result.results) {
            context.log.debug(
                "transaction committed",
                [
                    "transaction": .of(transaction.id), "height": .number(block.height),
                    "block": .of(block.hash), "code": .number(outcome.code),
                    "reason": .text(outcome.log),
                ])
        }
    }

    /// Sets the limits of bytes held for peers from the chain's maximum block size.
    private func limitBytes() {
        let block = Int(clamping: consensus.view.state.parameters.maxBlockSize)
        let (perPeer, total) = ResourceLimits.bytes(forBlocksOf: block)
        context.host.setByteLimits(perPeer: perPeer, total: total)
    }

    // MARK: Operator

    /// Takes over what a running node can of a configuration that has been read again, or nothing of an invalid one.
    public nonisolated func reload(_ new: Configuration) async throws(NodeError) -> ConfigurationReload {
        let outcome: Result<ConfigurationReload, NodeError> = await home.perform {
            Result { () throws(NodeError) in try self.takeOver(new) }
        }
        return try outcome.get()
    }

    private func takeOver(_ new: Configuration) throws(NodeError) -> ConfigurationReload {
        let reload = ConfigurationReload(from: configuration, to: new)
        let (next, host) = (reload.configuration, context.host)
        if next.p2p != configuration.p2p {
            peers.follow(try PeerRules(next.p2p, own: context.key.publicKey.peerID))
            var limits = host.use.limits
            limits.admitPeers(next.p2p.maxConnections)
            host.setConnectionLimits(limits.connections, inbound: limits.inboundConnections)
        }
        if next.mempool != configuration.mempool { mempool.follow(next.mempool) }
        configuration = next
        if !reload.taken.isEmpty { try? checkMempool() }
        return reload
    }

    // MARK: Log

    private func logStart() {
        let view = consensus.view
        context.log.info(
            "node started",
            [
                "node": .text(context.key.publicKey.nodeID), "role": .text("\(view.role)"),
                "height": .number(view.state.height), "reactor": .text(Reactor.driverDescription),
                "listen": .text(context.host.listenAddresses.map(\.description).joined(separator: " ")),
            ])
    }

    /// Throws if this node's role needs the mempool that its operator has disabled. Warns if the mempool is smaller
    /// than the chain's largest transaction: it would refuse that transaction for ever, although a block could hold it.
    private func checkMempool() throws(NodeError) {
        let (settings, view) = (configuration.mempool, consensus.view)
        guard settings.isEnabled else {
            if view.role == .sentry { return }
            throw .failed(
                "mempool.enabled is false, but this node is a \(view.role), which needs a mempool")
        }
        let limit = view.state.parameters.transactionLimit
        guard settings.maxSize < limit else { return }
        context.log.warning(
            "mempool.max_size is too small for the largest transactions of this chain",
            ["mempool.max_size": .number(settings.maxSize), "transaction_size": .number(limit)])
    }

    /// Warns once of each role that needs a mempool, on a blocks-only node.
    private func warnOfRole() {
        guard !context.configuration.mempool.isEnabled, consensus.view.role != role else { return }
        role = consensus.view.role
        guard role != .sentry else { return }
        context.log.warning(
            "this node's role needs a mempool, but mempool.enabled is false", ["role": .text("\(role)")])
    }

    // MARK: End

    private func end(_ error: NodeError) {
        context.log.critical("the node cannot continue", ["reason": .error(error)])
        ending = ending ?? error
        awaitingEnd.wakeAll()
    }

    /// Waits until the node stops. Returns why it cannot continue, or nil if it was stopped.
    public nonisolated func failure() async -> NodeError? {
        await home.perform { await self.untilEnd() }
    }

    private func untilEnd() async -> NodeError? {
        if !isStopped, ending == nil { _ = await awaitingEnd.wait() }
        return ending
    }
}

extension Membership {
    /// Creates the membership for a role and a state's leader and validators.
    init(_ role: RoleName, _ state: ChainState) {
        self.init(role: role, leader: state.leader?.peerID, validators: state.validators.keys.map(\.peerID))
    }
}
