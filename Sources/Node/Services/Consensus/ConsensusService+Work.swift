import Bytes
import Chain
import Consensus
import Crypto
import Execution
import Reactor
import Storage

/// Runs work on other workers: builds, checks, executes and commits blocks, and records votes.
extension ConsensusService {
    func build(_ template: BlockTemplate) {
        let (state, key) = (template.state, context.key)
        let began = Reactor.now
        Reactor.spawn {
            let changes = self.mempool.changes
            let transactions = await self.mempool.propose(
                maxBytes: Int(clamping: state.parameters.maxBlockSize), maxCount: template.transactionLimit)
            guard !transactions.isEmpty || template.mayBeEmpty else {
                await self.handle(.built(nil))
                // The machine heard of new transactions before this, and has now forgotten them.
                if self.mempool.changes != changes, self.mempool.contents.readyCount > 0 {
                    self.feed(.mempool(hasTransactions: true))
                }
                return
            }
            let timestamp = template.timestamp(at: self.context.wallClock())
            let block = try? await self.context.checks.run(.high) {
                let header = BlockHeader(
                    height: state.height &+ 1, transactionCount: 0, previousHash: state.hash,
                    previousAppHash: state.appHash, validatorSetHash: state.validatorSetHash,
                    networkParametersHash: state.parametersHash, timestamp: timestamp, merkleRoot: .zero,
                    newLeader: template.newLeader)
                let block = Block.signed(header, transactions: transactions, by: key)
                return CheckedBlock(block, madeOf: transactions)
            }
            if let block {
                self.note(.building, block.height, block.hash, at: began)
                self.note(body: block.block, from: nil)
                self.context.traces.transactions.note(.proposed, block.hashed.transactionIDs)
            }
            self.feed(.built(block))
        }
    }

    /// Tells the machine when the first transaction becomes ready, when none is left, and of each change while its view
    /// disagrees. More events would only wake its worker. The view may be older than the last event.
    func mempoolChanged(_ change: MempoolService.Change) {
        let (hadReady, hasReady) = (change.before.readyCount > 0, change.contents.readyCount > 0)
        guard hasReady != hadReady || hasReady != view.hasTransactions else { return }
        feed(.mempool(hasTransactions: hasReady))
    }

    /// Reserves stamps up to `stamp` on disk.
    func reserve(stampsUpTo stamp: Int64) {
        let reserve = context.votes.stamps
        Reactor.spawn {
            do {
                try await self.context.storage.run { try reserve.record(stamp) }
                self.feed(.stampsReserved(upTo: stamp))
            } catch {
                self.feed(.failed("\(error)"))
            }
        }
    }

    func execute(_ block: CheckedBlock) {
        let (application, state, clock) = (context.application, view.state, Reactor.clock)
        let durations = context.metrics.executions
        Reactor.spawn {
            do {
                let (result, time) = try await self.context.execution.run {
                    let start = clock.now
                    let result = try application.execute(
                        block.block, transactions: block.transactions, parameters: state.parameters,
                        validators: state.validators)
                    let end = clock.now
                    durations.record(end - start)
                    return (result, end)
                }
                self.note(.executed, block.height, block.hash, at: time)
                self.feed(.executed(block.hash, result))
            } catch {
                // Any other error means that the worker has ended.
                self.feed(.executionFailed(block.hash, error as? ExecutionError ?? .closed))
            }
        }
    }

    func rollBack() {
        let application = context.application
        Reactor.spawn {
            do {
                try await self.context.execution.run { try application.rollback() }
                self.feed(.rolledBack)
            } catch {
                self.feed(.failed("\(error)"))
            }
        }
    }

    /// Appends the block to the log, durably, then commits the application, which is therefore never ahead of the log.
    func commit(_ block: CheckedBlock, _ result: ExecutionResult, _ commit: VerifiedCommit) {
        let (store, chain, application) = (context.store, context.chain, context.application)
        let state = view.state
        let (clock, durations) = (Reactor.clock, context.metrics.applicationCommits)
        note(.quorum, block.height, block.hash)
        Reactor.spawn {
            do {
                let (logged, isIndexDue) = try await self.context.storage.run {
                    chain.appended(try store.append(block.hashed, commit.info, result.results))
                    return (clock.now, store.isIndexDue)
                }
                self.note(.logged, block.height, block.hash, at: logged)
                if isIndexDue { self.maintainIndex() }
                let committed = try await self.context.execution.run {
                    let start = clock.now
                    try application.commit()
                    let end = clock.now
                    durations.record(end - start)
                    return end
                }
                self.note(.committed, block.height, block.hash, at: committed)
            } catch let error as ExecutionError where !error.isLasting {
                do {
                    try await self.commitAgain(block, result, after: error)
                    self.note(.committed, block.height, block.hash)
                } catch {
                    return self.feed(.failed("\(error)"))
                }
            } catch {
                return self.feed(.failed("\(error)"))
            }
            self.keep(stateBefore: block, state)
            self.context.traces.transactions.note(
                .committed, block.hashed.transactionIDs, height: block.height)
            self.mempool.committed(block.hashed.transactionIDs, result.accounts)
            self.endFetches(upTo: block.height)
            self.context.observer.committed(commit, block, result)
            for peer in self.holders.peers(of: block.hash) { self.peers.proved(peer) }
            // The machine comes first, because it must be at the new height when the next synced block arrives.
            await self.handle(.committed(block.hash))
            self.events.send(.committed(block, result))
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

    /// Executes a block in the log again, until the application, which has rolled it back, commits it.
    private func commitAgain(
        _ block: CheckedBlock, _ result: ExecutionResult, after error: ExecutionError
    ) async throws {
        let (application, state) = (context.application, view.state)
        var retry = ExecutionRetry(context.log, height: block.height)
        var error: any Error = error
        while true {
            try await retry.pause(after: error)
            guard !isStopped else { throw ExecutionError.closed }
            do {
                return try await context.execution.run {
                    let again = try application.execute(
                        block.block, transactions: block.transactions, parameters: state.parameters,
                        validators: state.validators)
                    guard again.appHash == result.appHash else {
                        throw ConsensusError.applicationHashDiffers(
                            height: block.height, own: again.appHash, committed: result.appHash)
                    }
                    try application.commit()
                }
            } catch let failure {
                error = failure
            }
        }
    }

    func record(_ vote: Vote, _ answer: AckRes.Answer, keeping block: CheckedBlock?) {
        let (votes, key, log) = (context.votes, context.key, context.log)
        let clock = Reactor.clock
        Reactor.spawn {
            do {
                let (message, durable) = try await self.context.storage.run {
                    do throws(StorageError) {
                        if let block, votes.last?.blockHash != vote.blockHash {
                            try votes.keep(block.block.bytes)
                        }
                    } catch {
                        // The vote is valid without it, because others have the block.
                        log.warning(
                            "block of a vote not kept",
                            [
                                "height": .number(vote.height), "block": .of(vote.blockHash),
                                "reason": .error(error),
                            ])
                    }
                    try votes.record(vote)
                    let durable = clock.now
                    return (
                        AckRes(height: vote.height, block: vote.blockHash, answer: answer, by: key), durable
                    )
                }
                if message.appHash == nil {
                    self.context.traces.blocks.noteRefusal(of: vote.blockHash)
                } else {
                    self.note(.voteDurable, vote.height, vote.blockHash, at: durable)
                }
                self.context.observer.voted(message, vote.stamp)
                self.feed(.voteRecorded(vote, message))
            } catch {
                self.feed(.failed("\(error)"))
            }
        }
    }

    func check(_ block: Block, expected: Hash) async throws -> CheckedBlock {
        try await verifier.verify(block, expected: expected)
    }
}
