import Bytes
import Chain
import Consensus
import Crypto
import Execution
import Log
import Reactor
import Storage

/// Brings a starting node to the end of its own block log: rebuilds the chain's state from the log and executes what
/// the application has not committed. The application is at the log's tip or behind it, never ahead.
enum ChainRecovery {
    /// The state after the log's last block, the proof of that block, and how many transactions the log holds.
    struct Outcome: Sendable {
        var state: ChainState
        var tipCommit: VerifiedCommit?
        var transactions: UInt64 = 0
        /// Blocks that were executed again.
        var replayed: Int64 = 0
        /// The block of the newest vote, if it is above the log.
        var votedBlock: CheckedBlock?
    }

    /// Blocks that one job takes: a long log is followed in few of them, and the start can be given up between two.
    private static let batch: Int64 = 64

    /// Works on `worker`, and throws one line: `NodeError.stopped` once its task is cancelled. What only the machine keeps it
    /// from is tried again and again.
    static func run(
        genesis: Genesis, store: BlockStore, votes: VoteLog, application: any Application, log: Log,
        on worker: Worker
    ) async throws -> Outcome {
        try await withTaskCancellationHandler {
            var outcome = try await worker.run { try begin(genesis, store, application) }
            let applied = application.tip
            var retry: ExecutionRetry?
            while let tip = store.tip, outcome.state.height < tip.height {
                if Task.isCancelled { throw NodeError.stopped(height: application.tip.height) }
                let (next, failure) = try await worker.run { [outcome] in
                    follow(store, from: outcome, applied, application)
                }
                if next.state.height > outcome.state.height { retry = nil }
                outcome = next
                guard let failure else { continue }
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
                "the application is at height \(applied.height), but the block log is empty")
        }
        if let tip, applied.height > tip.height {
            throw NodeError.failed(
                "the application is at height \(applied.height), beyond the block log's \(tip.height)")
        }
        return Outcome(
            state: ChainState(
                height: genesis.initialHeight, hash: .zero, appHash: .zero, timestamp: 0,
                parameters: genesis.parameters, validators: genesis.validators))
    }

    /// The next blocks of the log. Returns how far that came, and what went wrong.
    private static func follow(
        _ store: BlockStore, from outcome: Outcome, _ applied: ApplicationTip, _ application: any Application
    ) -> (Outcome, (any Error)?) {
        var outcome = outcome
        let last = min(store.tip?.height ?? 0, outcome.state.height &+ batch)
        do {
            while outcome.state.height < last { try follow(store, &outcome, applied, application) }
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
            throw NodeError.failed("the block log lacks height \(height)")
        }
        let block = try Block(decoding: stored.block)
        let info = try CommitInfo(decoding: stored.commitInfo)
        if height == applied.height, info.appHash != applied.appHash {
            throw NodeError.failed(
                "height \(height): the application's hash \(applied.appHash) is not the log's \(info.appHash)"
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
                "height \(block.height): executing it again came to \(result.appHash), not to \(info.appHash)"
            )
        }
        try application.commit()
    }

    /// The block of the newest vote, as this node kept it: checked when it was voted for, and whole if its hash is the
    /// vote's, its transactions are the header's and its signature holds.
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
            log.warning("block of the newest vote cannot be read", ["reason": .error(error)])
            return nil
        }
    }
}
