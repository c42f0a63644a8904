import Bytes
import Chain
import Consensus
import Crypto
import Execution
import LibP2P
import Log
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

    private func currentStatus() -> NodeStatus {
        let view = consensus.view
        let makesBlocksAlone = view.role == .leader && view.state.validators.count == 1
        let role: NodeStatus.Role =
            switch view.role {
            case .leader: .leader
            case .validator: .validator
            case .sentry: .sentry
            }
        return NodeStatus(
            nodeID: context.key.publicKey.nodeID, peerID: context.host.peerID.description, role: role,
            height: view.state.height, blockHash: view.state.hash, appHash: view.state.appHash,
            blockTimestamp: view.state.timestamp, isSyncing: view.isSyncing,
            clockDoubt: view.clockDoubt, peerCount: peers.peerCount,
            mempoolCount: mempool.contents.count, mempoolSize: mempool.contents.bytes,
            transactionCount: transactions,
            reactor: Reactor.driverDescription, listenAddresses: context.host.listenAddresses.map { "\($0)" },
            isBlocksOnly: !context.configuration.mempool.isEnabled,
            hasGasCosts: !view.state.parameters.disabledGasCosts,
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
            throw .rejected(.mempoolFull, "too many clients are waiting for commits; retry later")
        }
        var outcome = try await accept([transaction])[0].get()
        guard wait else { return outcome }
        outcome.result = await commit(of: outcome.id)
        if outcome.result == nil { throw .commitTimeout(outcome.id) }
        return outcome
    }

    /// Returns the transaction's result once it is committed; nil after `rpc.broadcast_tx_timeout`.
    private func commit(of id: Hash) async -> TransactionResult? {
        // It may have been committed before the wait begins.
        Reactor.spawn {
            let stored = try? await self.chain.transaction(id, on: self.lookups)
            if let stored { self.commitWaiters.committed(id, stored.result) }
        }
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
        await reactor { await self.mempool.propose(maxBytes: .max, maxCount: limit) }
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
        try await read { try await $0.block(at: height, on: $1)?.block }
    }

    /// See `NodeInterface`.
    public nonisolated func block(hash: Hash) async throws(NodeError) -> StoredBlock? {
        try await read { try await $0.block(hash: hash, on: $1)?.block }
    }

    /// See `NodeInterface`.
    public nonisolated func transaction(_ id: Hash) async throws(NodeError) -> KnownTransaction? {
        // A block is in the log before its transactions leave the mempool.
        if let waiting = await reactor({ await self.mempool.waiting(id) }) {
            return KnownTransaction(bytes: waiting.bytes, height: -1, index: 0, result: nil)
        }
        return try await read { chain, worker in
            try await chain.transaction(id, on: worker).map {
                KnownTransaction(
                    bytes: $0.bytes, height: $0.height, index: UInt32(clamping: $0.index), result: $0.result)
            }
        }
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
        await reactor { await self.mempool.pendingNonce(id) }
    }

    /// See `NodeInterface`.
    public nonisolated func query(
        _ sql: String, _ parameters: [RawStatement.Parameter]
    ) async throws(NodeError) -> QueryResult {
        do throws(ExecutionError) {
            return try await queries.answer(sql, parameters)
        } catch {
            // The node must not vote on the state of a corrupt database.
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
        _ body: (ChainReader, Worker) async throws -> T
    ) async throws(NodeError) -> T {
        do {
            return try await body(chain, lookups)
        } catch {
            throw .failed("\(error)")
        }
    }

    /// Runs a closure that cannot throw on the node's own loop. Called from any thread.
    private nonisolated func reactor<T: Sendable>(
        _ body: @escaping @ReactorActor @Sendable () async -> T
    ) async -> T {
        await home.perform(body)
    }
}
