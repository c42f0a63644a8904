import Bytes
import Chain
import Consensus
import Crypto
import Execution
import LibP2P
import Log
import Mempool
import Multiformats
import Reactor
import Storage

/// Requests of clients, answered on the node's reactor or by a worker.
extension Node {
    /// The peers with a connection, ordered by their IDs; on the node's reactor.
    public var connectedPeers: [PeerID] { context.host.connectedPeers }

    /// The latest vote on disk.
    package var lastVote: Vote? { context.votes.last }

    private func snapshot() -> NodeSnapshots.Snapshot {
        let state = consensus.view.state
        return NodeSnapshots.Snapshot(
            status: currentStatus(),
            network: NetworkState(
                height: state.height, parameters: state.parameters, validators: state.validators))
    }

    func currentStatus() -> NodeStatus {
        let (view, host) = (consensus.view, context.host)
        let (state, mempool) = (view.state, mempool.contents)
        var status = NodeStatus()
        status.chainID = genesis.chainID
        status.nodeID = context.key.publicKey.nodeID
        status.peerID = host.peerID.description
        status.role = view.role
        status.height = state.height
        status.blockHash = state.hash
        status.appHash = state.appHash
        status.blockTimestamp = state.timestamp
        status.isSyncing = view.isSyncing
        status.syncTarget = view.isSyncing ? sync.target : nil
        status.clockDoubt = view.clockDoubt
        status.peerCount = peers.peerCount
        status.mempoolCount = mempool.count
        status.mempoolSize = mempool.bytes
        status.transactionCount = transactions
        status.reactor = Reactor.driverDescription
        status.listenAddresses = host.listenAddresses.map { "\($0)" }
        status.isBlocksOnly = !context.configuration.mempool.isEnabled
        status.hasGasCosts = !state.parameters.disabledGasCosts
        let makesBlocksAlone = view.role == .leader && state.validators.count == 1
        status.trouble = peers.isolation(makesBlocksAlone: makesBlocksAlone)
        return status
    }

    private func accept(
        _ transactions: [SharedBytes], waitForCommit: Bool
    ) async -> [Result<BroadcastOutcome, NodeError>] {
        if let refusal = refusal(waitForCommit) { return transactions.map { _ in .failure(refusal) } }
        var outcomes = await mempool.submit(transactions).map { outcome in
            outcome.map { BroadcastOutcome(id: $0.id, result: nil) }
                .mapError { NodeError.rejected($0.code, $0.description) }
        }
        snapshots.invalidate()
        guard waitForCommit else { return outcomes }
        for (index, outcome) in outcomes.enumerated() {
            guard case .success(let accepted) = outcome else { continue }
            outcomes[index] =
                switch await commit(of: accepted.id) {
                case .committed(let result): .success(BroadcastOutcome(id: accepted.id, result: result))
                case .lost(let reason): .failure(.dropped(reason))
                case nil: .failure(.commitTimeout(accepted.id))
                }
        }
        return outcomes
    }

    /// The reason to refuse all transactions now, if any.
    private func refusal(_ waitForCommit: Bool) -> NodeError? {
        if waitForCommit, commitWaiters.isFull {
            return .rejected(.mempoolFull, "too many clients are waiting for commits; retry later")
        }
        if isStopped || ending != nil { return .failed("the node is stopping") }
        return context.configuration.mempool.isEnabled ? nil : .blocksOnly
    }

    /// Returns what becomes of a transaction; nil after `rpc.broadcast_tx_timeout`.
    private func commit(of id: Hash) async -> CommitWaiters.Outcome? {
        // It may have been committed before the wait begins.
        Reactor.spawn {
            let stored = try? await self.context.chain.transaction(id, on: self.context.blocks)
            if let stored { self.commitWaiters.committed(id, stored.result) }
        }
        return await commitWaiters.wait(for: id, timeout: configuration.rpc.broadcastTxTimeout)
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
        do { return try context.application.validatorRequests() } catch { throw .failed("\(error)") }
    }

    /// See `NodeInterface`.
    public nonisolated func unconfirmed(limit: Int) async -> [Transaction] {
        await home.perform { await self.mempool.propose(maxBytes: .max, maxCount: limit) }
    }

    /// See `NodeInterface`.
    public nonisolated func broadcast(
        _ transactions: [SharedBytes], waitForCommit: Bool
    ) async -> [Result<BroadcastOutcome, NodeError>] {
        await home.perform { await self.accept(transactions, waitForCommit: waitForCommit) }
    }

    /// See `NodeInterface`.
    public nonisolated func block(at height: Int64) async throws(NodeError) -> StoredBlock? {
        if let block = try await read({ try await $0.block(at: height, on: $1)?.block }) { return block }
        if let first = firstHeight, height > genesis.initialHeight, height < first {
            throw .pruned("\(StorageError.pruned(height: height, first: first))")
        }
        return nil
    }

    /// The height of the first block that the node keeps; nil before the first block.
    package nonisolated var firstHeight: Int64? { context.store.firstHeight }

    /// See `NodeInterface`.
    public nonisolated func block(hash: Hash) async throws(NodeError) -> StoredBlock? {
        try await read { try await $0.block(hash: hash, on: $1)?.block }
    }

    /// See `NodeInterface`.
    public nonisolated func transaction(_ id: Hash) async throws(NodeError) -> KnownTransaction? {
        // A block is in the log before its transactions leave the mempool.
        if let waiting = await home.perform({ await self.mempool.waiting(id) }) {
            return KnownTransaction(bytes: waiting.bytes, height: -1, index: 0, result: nil)
        }
        return try await read {
            try await $0.transaction(id, on: $1).map {
                KnownTransaction(bytes: $0.bytes, height: $0.height, index: $0.index, result: $0.result)
            }
        }
    }

    /// See `NodeInterface`.
    public nonisolated func account(_ id: AccountID) async throws(NodeError) -> Account? {
        let application = context.application
        do {
            return try await context.accounts.runForClient { try application.account(id) }
        } catch {
            throw .failed("\(error)")
        }
    }

    /// See `NodeInterface`.
    public nonisolated func pendingNonce(_ id: AccountID) async -> UInt64? {
        await home.perform { await self.mempool.pendingNonce(id) }
    }

    /// See `NodeInterface`.
    public nonisolated func query(
        _ sql: String, _ parameters: [RawStatement.Parameter], _ length: QueryLength
    ) async throws(NodeError) -> QueryResult {
        do throws(ExecutionError) {
            return try await context.queries.answer(sql, parameters, length)
        } catch {
            if case .queryLimit = error, length == .short { throw .notShort }
            // The node must not vote on the state of a corrupt database.
            if error.isCorruption { await home.perform { self.consensus.feed(.failed("\(error)")) } }
            throw queryError(error, sql)
        }
    }

    /// See `NodeInterface`.
    public nonisolated var clockReading: Duration { home.driver.now }

    /// See `NodeInterface`.
    public nonisolated func blockTraces(at height: Int64) async -> [BlockTrace] {
        await home.perform { self.context.traces.blocks.at(height) }
    }

    /// See `NodeInterface`.
    public nonisolated func slowestBlocks(_ count: Int) async -> [BlockTrace] {
        await home.perform { self.context.traces.blocks.slowest(count) }
    }

    /// See `NodeInterface`.
    public nonisolated func transactionTrace(_ id: Hash) async -> (trace: TransactionTrace?, sampling: Int) {
        await home.perform {
            let traces = self.context.traces.transactions
            return (traces.trace(id), 1 << traces.thinning)
        }
    }

    /// See `NodeInterface`.
    public nonisolated var stageHistograms: NodeHistograms { context.traces.histograms }

    private nonisolated func queryError(_ error: ExecutionError, _ sql: String) -> NodeError {
        switch error {
        case .tooManyQueries: return .busy(error.description)
        case .corrupt:
            let isNew = corruption.withLock { known in
                defer { known = true }
                return !known
            }
            if isNew { context.log.critical("a query found the database corrupt", ["reason": .error(error)]) }
        case .unusable, .failed, .diskFull:
            context.log.warning("query failed", ["query": .text(sql), "reason": .error(error)])
        default: break
        }
        return .query(error.publicDescription)
    }

    /// Reads blocks or transactions.
    private nonisolated func read<T: Sendable>(
        _ body: (ChainReader, Worker) async throws -> T
    ) async throws(NodeError) -> T {
        do {
            return try await body(context.chain, context.blocks)
        } catch let error as StorageError {
            if case .pruned = error { throw .pruned(error.description) }
            throw .failed(error.description)
        } catch {
            throw .failed("\(error)")
        }
    }
}

extension NodeError {
    /// The refusal of a transaction that the mempool accepted and has dropped.
    fileprivate static func dropped(_ reason: Loss.Reason) -> NodeError {
        let code: TransactionCode =
            switch reason {
            case .crowdedOut, .limit: .mempoolFull
            case .expired: .unknownError
            case .unaffordable: .insufficientBalance
            }
        return .rejected(
            code,
            "dropped from this node's mempool: \(reason.description); other nodes may still have it")
    }
}
