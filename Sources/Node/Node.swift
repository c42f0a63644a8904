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
    private nonisolated let application: any Application
    private nonisolated let store: BlockStore
    private nonisolated let lookups: Worker
    private nonisolated let queries: any QueryService
    /// Whether the log has been told of a database that a query found corrupt.
    private nonisolated let corruption = Mutex(false)
    /// The loop that the services live on, and that whoever asks from another one crosses to.
    private nonisolated let home: EventLoop
    private nonisolated let snapshots = NodeSnapshots()

    let context: NodeContext
    let consensus: ConsensusService
    let mempool: MempoolService
    private let peers: PeerService
    let sync: SyncService
    private let blocks: BlockService
    private let exchange: TransactionExchange
    private let gossip: GossipService
    private var transactions: UInt64
    /// The role of which a blocks-only node has warned.
    private var role = ConsensusMachine.Role.sentry
    private var isStopped = false
    private var ending: NodeError?
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
        consensus = try ConsensusService(
            context, mempool, state: outcome.state, tipCommit: outcome.tipCommit)
        peers = try PeerService(context)
        sync = SyncService(context, consensus)
        blocks = BlockService(context)
        exchange = TransactionExchange(
            context.host, mempool, isBlocksOnly: !context.configuration.mempool.isEnabled)
        gossip = GossipService(context, consensus)
    }

    /// Joins the services, serves and dials.
    func run() throws {
        let role = consensus.machine.role
        guard context.configuration.mempool.isEnabled || role == .sentry else {
            throw NodeError.failed(
                "mempool.enabled is false, but this node is a \(role), which needs transactions")
        }
        mempool.isLeader = { [weak consensus] in consensus?.machine.role == .leader }
        let parameters = genesis.parameters
        mempool.parameters = { [weak consensus] in consensus?.machine.state.parameters ?? parameters }
        consensus.onSyncing = { [weak mempool, snapshots] in
            mempool?.syncing($0)
            snapshots.invalidate()
        }
        consensus.onClockDoubt = { [snapshots] in snapshots.invalidate() }
        mempool.onChange = { [weak consensus] in consensus?.feed(.mempool(count: $0)) }
        peers.membership = { [weak consensus] in PeerService.Membership(consensus?.machine) }
        mempool.isTrusted = { [weak peers] in (peers?.rank(of: $0) ?? .stranger) != .stranger }
        sync.rank = { [weak peers] in peers?.rank(of: $0) ?? .stranger }
        blocks.rank = { [weak peers] in peers?.rank(of: $0) ?? .stranger }
        peers.onReady = { [weak self] in self?.peerReady($0) }
        peers.onProcess = { [weak gossip] in gossip?.keys.identified($0, as: $1) }
        peers.onLeft = { [weak self] peer in
            self?.exchange.peerLeft(peer)
            self?.mempool.peerLeft(peer)
            self?.sync.peerLeft(peer)
            self?.gossip.peerLeft(peer, isTrusted: self?.peers.rank(of: peer) ?? .stranger != .stranger)
        }
        consensus.onCommit = { [weak self] block, result in self?.committed(block, result) }
        consensus.onHalt = { [weak self] error in self?.end(.failed("consensus stopped: \(error)")) }
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
        let state = consensus.machine.state
        context.log.info(
            "node started",
            [
                "id": .text(context.key.publicKey.nodeID), "role": .text("\(role)"),
                "height": .number(state.height), "reactor": .text(Reactor.driverDescription),
                "listen": .text(context.host.listenAddresses.map(\.description).joined(separator: " ")),
            ])
    }

    /// What is held for peers follows what the chain calls large.
    private func limitBytes() {
        let block = Int(clamping: consensus.machine.state.parameters.maxBlockSize)
        let (perPeer, total) = ResourceLimits.bytes(forBlocksOf: block)
        context.host.setByteLimits(perPeer: perPeer, total: total)
    }

    private func peerReady(_ peer: PeerID) {
        exchange.peerReady(peer)
        mempool.peerReady(peer)
        sync.peerReady(peer)
        gossip.peerReady(peer)
        consensus.holders.forget(peer)
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
        guard !context.configuration.mempool.isEnabled, consensus.machine.role != role else { return }
        role = consensus.machine.role
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
        lookups.stop()
        do {
            try store.close()
        } catch {
            context.log.error("block log not closed", ["reason": .error(error)])
        }
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
        await mempool.save()
        await peers.saveBook()
        await queries.stop()
        for worker in [context.checks, context.serving] + context.proofs { worker.stop() }
        // Whoever still refers to this node must not keep the database open, nor a block executed in it locked.
        let application = context.application
        try? await context.execution.finish { application.close() }
        context.storage.stop()
        commitWaiters.stop()
        for waiter in endWaiters { waiter.resume(returning: ending) }
        endWaiters = []
    }

    /// Lets go of everything as a crash does: nothing is written or sent any more, and whoever waits is told that it
    /// failed. The disk and the network must be cut off before.
    public func abandon() {
        guard !isStopped else { return }
        isStopped = true
        let workers = [context.execution, context.storage, context.checks, context.serving, lookups]
        queries.abandon()
        for worker in workers + context.proofs { worker.abandon() }
        consensus.stop()
        sync.stop()
        blocks.stop()
        mempool.stop()
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

    // MARK: Requests, on the reactor

    /// The peers with a connection, ordered by their IDs; on the node's reactor.
    public var connectedPeers: [PeerID] { context.host.connectedPeers }

    /// The newest vote on disk.
    package var lastVote: Vote? { context.votes.last }

    private func snapshot() -> NodeSnapshots.Snapshot {
        let state = consensus.machine.state
        return NodeSnapshots.Snapshot(
            status: currentStatus(),
            network: NetworkState(
                height: state.height, parameters: state.parameters, validators: state.validators))
    }

    private func currentStatus() -> NodeStatus {
        let machine = consensus.machine
        let makesBlocksAlone = machine.role == .leader && machine.state.validators.count == 1
        let role: NodeStatus.Role =
            switch machine.role {
            case .leader: .leader
            case .validator: .validator
            case .sentry: .sentry
            }
        return NodeStatus(
            nodeID: context.key.publicKey.nodeID, peerID: context.host.peerID.description, role: role,
            height: machine.state.height, blockHash: machine.state.hash, appHash: machine.state.appHash,
            blockTimestamp: machine.state.timestamp, isSyncing: machine.isSyncing,
            clockDoubt: machine.clockDoubt, peerCount: peers.peerCount,
            mempoolCount: mempool.count, mempoolSize: mempool.bytes, transactionCount: transactions,
            reactor: Reactor.driverDescription, listenAddresses: context.host.listenAddresses.map { "\($0)" },
            isBlocksOnly: !context.configuration.mempool.isEnabled,
            hasGasCosts: !machine.state.parameters.disabledGasCosts,
            trouble: peers.isolation(makesBlocksAlone: makesBlocksAlone))
    }

    private func accept(_ transactions: [SharedBytes]) async -> [Result<BroadcastOutcome, NodeError>] {
        let refusal: NodeError? =
            if isStopped || ending != nil {
                .failed("the node is stopping")
            } else {
                context.configuration.mempool.isEnabled ? nil : .blocksOnly
            }
        if let refusal { return transactions.map { _ in .failure(refusal) } }
        let outcomes = await mempool.submit(transactions)
        snapshots.invalidate()
        return outcomes.map { outcome in
            outcome.map { BroadcastOutcome(id: $0.id, result: nil) }
                .mapError { .rejected($0.code, $0.description) }
        }
    }

    private func accept(_ transaction: SharedBytes, wait: Bool) async throws(NodeError) -> BroadcastOutcome {
        if wait, commitWaiters.isFull {
            throw .rejected(.mempoolFull, "too many clients wait for a commit")
        }
        var outcome = try await accept([transaction])[0].get()
        guard wait else { return outcome }
        outcome.result = await commit(of: outcome.id)
        if outcome.result == nil { throw .commitTimeout(outcome.id) }
        return outcome
    }

    /// The transaction's result once it is committed; nil after `rpc.broadcast_tx_timeout`.
    private func commit(of id: Hash) async -> TransactionResult? {
        if let stored = try? store.transaction(id) { return stored.result }
        return await commitWaiters.wait(for: id, timeout: context.configuration.rpc.broadcastTxTimeout)
    }
}

// MARK: - NodeInterface

extension Node: NodeInterface {
    /// See `NodeInterface`.
    public nonisolated func status() async -> NodeStatus {
        await snapshots.current(on: home) { self.snapshot() }.status
    }

    /// See `NodeInterface`.
    public nonisolated var knownStatus: NodeStatus? { snapshots.known(on: home)?.status }

    /// See `NodeInterface`.
    public nonisolated func network() async -> NetworkState {
        await snapshots.current(on: home) { self.snapshot() }.network
    }

    /// See `NodeInterface`.
    public nonisolated func validatorRequests() async throws(NodeError) -> [ValidatorRequest] {
        do { return try application.validatorRequests() } catch { throw .failed("\(error)") }
    }

    /// See `NodeInterface`.
    public nonisolated func unconfirmed(limit: Int) async -> [Transaction] {
        await reactor { self.mempool.propose(maxBytes: .max, maxCount: limit) }
    }

    /// See `NodeInterface`.
    public nonisolated func broadcast(
        _ transactions: [SharedBytes]
    ) async -> [Result<BroadcastOutcome, NodeError>] {
        await reactor { await self.accept(transactions) }
    }

    /// See `NodeInterface`.
    public nonisolated func broadcast(
        _ transaction: SharedBytes, waitForCommit: Bool
    ) async throws(NodeError) -> BroadcastOutcome {
        let result: Result<BroadcastOutcome, NodeError> = await reactor {
            do throws(NodeError) {
                return .success(try await self.accept(transaction, wait: waitForCommit))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// See `NodeInterface`.
    public nonisolated func block(at height: Int64) async throws(NodeError) -> StoredBlock? {
        try await read { store in
            guard let height = height > 0 ? height : store.tip?.height else { return nil }
            return try store.block(at: height)
        }
    }

    /// See `NodeInterface`.
    public nonisolated func block(hash: Hash) async throws(NodeError) -> StoredBlock? {
        try await read { try $0.block(hash: hash) }
    }

    /// See `NodeInterface`.
    public nonisolated func transaction(_ id: Hash) async throws(NodeError) -> KnownTransaction? {
        let result: Result<KnownTransaction?, StorageError> = await reactor {
            do throws(StorageError) {
                return .success(try self.mempool.known(id))
            } catch {
                return .failure(error)
            }
        }
        do { return try result.get() } catch { throw .failed("\(error)") }
    }

    /// See `NodeInterface`.
    public nonisolated func account(_ id: AccountID) async throws(NodeError) -> Account? {
        let application = application
        do {
            return try await lookups.runForClient { try application.account(id) }
        } catch {
            throw .failed("\(error)")
        }
    }

    /// See `NodeInterface`.
    public nonisolated func pendingNonce(_ id: AccountID) async -> UInt64? {
        await reactor { self.mempool.pendingNonce(id) }
    }

    /// See `NodeInterface`.
    public nonisolated func query(
        _ sql: String, _ parameters: [RawStatement.Parameter]
    ) async throws(NodeError) -> QueryResult {
        do throws(ExecutionError) {
            return try await queries.answer(sql, parameters)
        } catch {
            // Nobody should vote on what such a database says.
            if error.isCorruption { await reactor { self.consensus.feed(.failed("\(error)")) } }
            throw queryError(error)
        }
    }

    private nonisolated func queryError(_ error: ExecutionError) -> NodeError {
        switch error {
        case .tooManyQueries: return .busy(error.description)
        case .corrupt:
            let isNew = corruption.withLock { known in
                defer { known = true }
                return !known
            }
            if isNew { context.log.critical("a query found the database corrupt", ["reason": .error(error)]) }
        case .unusable, .failed, .diskFull: context.log.warning("query failed", ["reason": .error(error)])
        default: break
        }
        return .query(error.publicDescription)
    }

    private nonisolated func read<T: Sendable>(
        _ body: @escaping @Sendable (BlockStore) throws -> T
    ) async throws(NodeError) -> T {
        let store = store
        do {
            return try await lookups.runForClient { try body(store) }
        } catch {
            throw .failed("\(error)")
        }
    }

    /// Runs on the node's own loop what cannot throw, from wherever it is asked.
    private nonisolated func reactor<T: Sendable>(
        _ body: @escaping @ReactorActor @Sendable () async -> T
    ) async -> T {
        await home.perform(body)
    }
}
