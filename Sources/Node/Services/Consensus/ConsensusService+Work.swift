import Bytes
import Chain
import Consensus
import Crypto
import Execution
import Reactor
import Storage

/// Runs work on other workers: builds, checks and executes blocks, and records votes.
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
