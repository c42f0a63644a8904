import Bytes
import Chain
import Consensus
import Crypto
import Execution
import Log
import Reactor
import Storage

/// Brings a starting node to the tip of its block log: rebuilds the chain's state from the log and executes the blocks
/// that the application has not committed. The application is never ahead of the log (docs/consensus.md, "After a
/// crash").
enum ChainRecovery {
    /// The state after the last block of the log.
    struct Outcome: Sendable {
        var state: ChainState
        /// The proof of the last block.
        var tipCommit: VerifiedCommit?
        /// The number of transactions in the log.
        var transactions: UInt64 = 0
        /// The number of blocks that were executed.
        var replayed: Int64 = 0
        /// The block of the latest vote, if it is above the tip.
        var votedBlock: CheckedBlock?
    }

    /// The maximum number of blocks per job: few jobs even for a long log, and the start can be cancelled between them.
    private static let batch: Int64 = 64

    /// Recovers on `worker`. An error's description is one line; `NodeError.stopped` if the task is cancelled. A block
    /// that the machine cannot execute now (memory, disk, an unreadable file) is retried until it succeeds.
    static func run(
        genesis: Genesis, store: BlockStore, votes: VoteLog, application: any Application, log: Log,
        on worker: Worker, progress: @escaping @Sendable (StartProgress) -> Void
    ) async throws -> Outcome {
        try await withTaskCancellationHandler {
            var outcome = try await worker.run { try begin(genesis, store, application) }
            let applied = application.tip
            var retry: ExecutionRetry?
            while let tip = store.tip, outcome.state.height < tip.height {
                if Task.isCancelled { throw NodeError.stopped(height: application.tip.height) }
                let (next, failure) = try await worker.run { [outcome] in
                    follow(store, from: outcome, applied, application, progress)
                }
                if next.state.height > outcome.state.height { retry = nil }
                outcome = next
                guard let failure else { continue }
                if !Task.isCancelled { progress(.retrying(height: outcome.state.height &+ 1)) }
                var pauses = retry ?? ExecutionRetry(log, height: outcome.state.height &+ 1)
                do {
                    if !Task.isCancelled { try await pauses.pause(after: failure) }
                } catch is CancellationError {}
                retry = pauses
            }
            outcome.votedBlock = try await worker.run { [state = outcome.state] in
                votedBlock(votes, state, log)
            }
            return outcome
        } onCancel: {
            application.stop()
        }
    }

    private static func begin(
        _ genesis: Genesis, _ store: BlockStore, _ application: any Application
    ) throws -> Outcome {
        try application.initialize(genesis)
        let (applied, tip) = (application.tip, store.tip)
        if tip == nil, applied.height > genesis.initialHeight {
            throw NodeError.failed(
                "the application is at height \(applied.height), but the block log is empty: restore it"
            )
        }
        if let tip, applied.height > tip.height {
            throw NodeError.failed(
                "the application is at height \(applied.height), but the block log ends at \(tip.height)")
        }
        return Outcome(
            state: ChainState(
                height: genesis.initialHeight, hash: .zero, appHash: .zero, timestamp: 0,
                parameters: genesis.parameters, validators: genesis.validators))
    }

    /// Follows the next blocks of the log. Returns how far that came, and the error that stopped it, if any.
    private static func follow(
        _ store: BlockStore, from outcome: Outcome, _ applied: ApplicationTip, _ application: any Application,
        _ progress: (StartProgress) -> Void
    ) -> (Outcome, (any Error)?) {
        var outcome = outcome
        let tip = store.tip?.height ?? 0
        let last = min(tip, outcome.state.height &+ batch)
        do {
            while outcome.state.height < last {
                progress(.executing(height: outcome.state.height &+ 1, tip: tip))
                try follow(store, &outcome, applied, application)
            }
        } catch {
            return (outcome, error)
        }
        return (outcome, nil)
    }

    private static func follow(
        _ store: BlockStore, _ outcome: inout Outcome, _ applied: ApplicationTip,
        _ application: any Application
    ) throws {
        let height = outcome.state.height &+ 1
        guard let stored = try store.block(at: height) else {
            throw NodeError.failed("the block log has no block at height \(height)")
        }
        let block = try Block(decoding: stored.block)
        let info = try CommitInfo(decoding: stored.commitInfo)
        if height == applied.height, info.appHash != applied.appHash {
            throw NodeError.failed(
                "height \(height): the application has app hash \(applied.appHash), the log \(info.appHash)"
            )
        }
        if height > applied.height {
            try execute(block, info, after: outcome.state, application)
            outcome.replayed &+= 1
        }
        outcome.state = try outcome.state.after(block.header, hash: stored.hash, commit: info)
        outcome.transactions &+= UInt64(block.transactions.count)
        if height == store.tip?.height {
            outcome.tipCommit = VerifiedCommit(trusting: BlockAnnouncement(block, info))
        }
    }

    private static func execute(
        _ block: Block, _ info: CommitInfo, after state: ChainState, _ application: any Application
    ) throws {
        let result = try application.execute(
            block, transactions: try HashedBlock(hashing: block).decodedTransactions(),
            parameters: state.parameters, validators: state.validators)
        guard result.appHash == info.appHash else {
            try application.rollback()
            throw NodeError.failed(
                "height \(block.height): execution gave app hash \(result.appHash), the log has \(info.appHash)"
            )
        }
        try application.commit()
    }

    /// Returns the block of the latest vote as this node kept it, if its hash and signature are right. The node checked
    /// it before it voted.
    private static func votedBlock(_ votes: VoteLog, _ state: ChainState, _ log: Log) -> CheckedBlock? {
        guard let vote = votes.last, vote.decision != .nack else { return nil }
        do {
            guard let bytes = try votes.keptBlock() else { return nil }
            let block = try Block(decoding: bytes)
            guard block.hash == vote.blockHash, let signer = state.signer(of: block.header),
                block.verifySignature(signer)
            else { return nil }
            return try CheckedBlock(kept: HashedBlock(hashing: block))
        } catch {
            log.warning(
                "block of the latest vote cannot be read",
                [
                    "height": .number(vote.height), "block": .of(vote.blockHash), "reason": .error(error),
                ])
            return nil
        }
    }
}
