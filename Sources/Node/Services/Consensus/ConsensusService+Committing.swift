import Chain
import Consensus
import Crypto
import Execution
import Reactor
import Storage

/// A block that was executed, with the chain before it.
private final class ExecutedBlock: Sendable {
    let decided: DecidedBlock
    let result: ExecutionResult
    let before: ChainState

    init(decided: DecidedBlock, result: ExecutionResult, before: ChainState) {
        (self.decided, self.result, self.before) = (decided, result, before)
    }

    var block: CheckedBlock { decided.block }
    var addition: BlockStore.Addition {
        BlockStore.Addition(block.hashed, decided.commit.info, result.results)
    }
}

/// Commits executed blocks, in an order that makes a crash harmless at any moment (docs/architecture.md, "Committing").
extension ConsensusService {
    /// Commits the prepared block.
    func commit(_ block: CheckedBlock, _ result: ExecutionResult, _ commit: VerifiedCommit) {
        note(.quorum, block.height, block.hash)
        let executed = ExecutedBlock(
            decided: DecidedBlock(commit, block), result: result, before: view.state)
        Reactor.spawn { await self.store([executed], .committed(block.hash)) }
    }

    /// Executes the blocks of a run and commits them together.
    func commit(_ run: DecidedRun) {
        let (application, clock, log) = (context.application, Reactor.clock, context.log)
        let durations = context.metrics.executions
        for decided in run.blocks { note(.quorum, decided.block.height, decided.block.hash) }
        Reactor.spawn {
            do {
                let (results, time) = try await self.context.execution.run {
                    let start = clock.now
                    do {
                        let results = try run.execute(on: application) {
                            clock.now - start >= DecidedRun.longest
                        }
                        let end = clock.now
                        for _ in results { durations.record((end - start) / results.count) }
                        return (results, end)
                    } catch {
                        log.debug(
                            "blocks cannot be committed together",
                            ["height": .number(run.before.height), "reason": .error(error)])
                        try application.rollback()
                        return ([], clock.now)
                    }
                }
                guard !results.isEmpty else { return self.feed(.runFailed) }
                let blocks = try Self.executed(run, results)
                for one in blocks { self.note(.executed, one.block.height, one.block.hash, at: time) }
                await self.store(blocks, .runCommitted(count: blocks.count))
            } catch {
                self.feed(.failed("\(error)"))
            }
        }
    }

    private nonisolated static func executed(
        _ run: DecidedRun, _ results: [ExecutionResult]
    ) throws(ConsensusError) -> [ExecutedBlock] {
        var state = run.before
        var blocks: [ExecutedBlock] = []
        for (decided, result) in zip(run.blocks, results) {
            blocks.append(ExecutedBlock(decided: decided, result: result, before: state))
            let block = decided.block
            state = try state.after(block.header, hash: block.hash, commit: decided.commit.info)
        }
        return blocks
    }

    /// Appends the prepared blocks to the log, durably, then commits the application, which is therefore never ahead of the
    /// log. Tells the machine, then the rest of the node.
    private func store(_ blocks: [ExecutedBlock], _ event: ConsensusEvent) async {
        let (store, chain, application) = (context.store, context.chain, context.application)
        let (clock, durations) = (Reactor.clock, context.metrics.applicationCommits)
        do {
            let (logged, isIndexDue) = try await self.context.storage.run {
                for stored in try store.append(blocks.map(\.addition)) { chain.appended(stored) }
                return (clock.now, store.isIndexDue)
            }
            for one in blocks { note(.logged, one.block.height, one.block.hash, at: logged) }
            if isIndexDue { maintainIndex() }
            let committed = try await self.context.execution.run {
                let start = clock.now
                try application.commit()
                let end = clock.now
                durations.record(end - start)
                return end
            }
            for one in blocks { note(.committed, one.block.height, one.block.hash, at: committed) }
        } catch let error as ExecutionError where !error.isLasting {
            do {
                try await commitAgain(blocks, after: error)
                for one in blocks { note(.committed, one.block.height, one.block.hash) }
            } catch {
                return feed(.failed("\(error)"))
            }
        } catch {
            return feed(.failed("\(error)"))
        }
        finish(blocks)
        // The machine comes first, because it must be at the new height when the next synced block arrives.
        await handle(event)
        events.send(.committed(blocks.map { ($0.block, $0.result) }))
    }

    /// Passes committed blocks to what must know of them before the machine.
    private func finish(_ blocks: [ExecutedBlock]) {
        for one in blocks {
            let block = one.block
            keep(stateBefore: block, one.before)
            context.traces.transactions.note(
                .committed, block.hashed.transactionIDs, height: block.height)
            context.observer.committed(one.decided.commit, block, one.result)
            for peer in holders.peers(of: block.hash) { peers.proved(peer) }
        }
        mempool.committed(
            blocks.flatMap(\.block.hashed.transactionIDs), blocks.flatMap(\.result.accounts))
        if let last = blocks.last {
            endFetches(upTo: last.block.height)
            arrivingBlocks.remove(upTo: last.block.height)
        }
    }

    /// Executes blocks in the log again, one at a time, until the application, which has rolled them back, has committed all.
    private func commitAgain(_ blocks: [ExecutedBlock], after error: ExecutionError) async throws {
        let application = context.application
        var retry = ExecutionRetry(context.log, height: blocks.first?.block.height ?? 0)
        var error: any Error = error
        while true {
            try await retry.pause(after: error)
            guard !isStopped else { throw ExecutionError.closed }
            do {
                return try await context.execution.run {
                    for one in blocks where one.block.height > application.tip.height {
                        let (block, state) = (one.block, one.before)
                        let again = try application.execute(
                            block.block, transactions: block.transactions, parameters: state.parameters,
                            validators: state.validators)
                        guard again.appHash == one.result.appHash else {
                            throw ConsensusError.applicationHashDiffers(
                                height: block.height, own: again.appHash, committed: one.result.appHash)
                        }
                        try application.commit()
                    }
                }
            } catch let failure {
                error = failure
            }
        }
    }

    /// Keeps the chain's state beside the log, now and then, and drops the blocks that no start needs any more, if the operator
    /// wants that. If it fails, the next start takes longer, and blocks are dropped later.
    private func keep(stateBefore block: CheckedBlock, _ state: ChainState) {
        guard let due = keeper.committed(block, on: state, durable: context.application.durableHeight) else {
            return
        }
        let (store, log, kept) = (context.store, context.log, context.configuration.storage.keepBlocks)
        // A start reads the block before that of the kept state too.
        let needed = min(due.height &- 1, block.height &- Int64(kept) &+ 1)
        Reactor.spawn {
            do {
                try await self.context.storage.run {
                    try store.stateFile.write(due.bytes)
                    if kept > 0 { try store.prune(below: needed) }
                }
            } catch  where error is StorageError {
                log.warning("chain state not kept", ["height": .number(due.height), "reason": .error(error)])
            } catch {}
        }
    }

    /// Lets the block index write and merge its files beside the next blocks.
    private func maintainIndex() {
        guard !isIndexMaintained else { return }
        isIndexMaintained = true
        let store = context.store
        Reactor.spawn {
            do {
                try await self.context.indexing.run { try store.maintainIndex() }
            } catch  where !self.isStopped {
                self.context.log.warning(
                    "block index not written; the next block tries again", ["reason": .error(error)])
            } catch {}
            self.isIndexMaintained = false
        }
    }
}
