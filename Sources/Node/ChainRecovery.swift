import Bytes
import Chain
import Consensus
import Crypto
import Execution
import Log
import Storage

/// Brings a starting node to the end of its own block log: rebuilds the chain's state from the log and executes what
/// the application has not committed. The application is at the log's tip or behind it, never ahead.
enum ChainRecovery {
    /// The state after the log's last block, the proof of that block, and how many transactions the log holds.
    struct Outcome: Sendable {
        var state: ChainState
        var tipCommit: VerifiedCommit?
        var transactions: UInt64
        /// Blocks that were executed again.
        var replayed: Int64
        /// The block of the newest vote, if it is above the log.
        var votedBlock: CheckedBlock?
    }

    /// Runs on the calling thread, and throws one line: `NodeError.stopped` once its task is cancelled. What only the
    /// machine keeps it from is tried again and again.
    static func run(
        genesis: Genesis, store: BlockStore, application: any Application, log: Log
    ) async throws -> Outcome {
        try application.initialize(genesis)
        return try await withTaskCancellationHandler {
            try await follow(genesis, store, application, log)
        } onCancel: {
            application.stop()
        }
    }

    private static func follow(
        _ genesis: Genesis, _ store: BlockStore, _ application: any Application, _ log: Log
    ) async throws -> Outcome {
        var outcome = Outcome(
            state: ChainState(
                height: genesis.initialHeight, hash: .zero, appHash: .zero, timestamp: 0,
                parameters: genesis.parameters, validators: genesis.validators),
            tipCommit: nil, transactions: 0, replayed: 0)
        let applied = application.tip
        guard let tip = store.tip else {
            guard applied.height <= genesis.initialHeight else {
                throw NodeError.failed(
                    "the application is at height \(applied.height), but the block log is empty")
            }
            return outcome
        }
        guard applied.height <= tip.height else {
            throw NodeError.failed(
                "the application is at height \(applied.height), beyond the block log's \(tip.height)")
        }
        while outcome.state.height < tip.height {
            if Task.isCancelled { throw NodeError.stopped(height: application.tip.height) }
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
                try await execute(block, info, after: outcome.state, application, log)
                outcome.replayed &+= 1
            }
            outcome.state = try outcome.state.after(block.header, hash: stored.hash, commit: info)
            outcome.transactions &+= UInt64(block.transactions.count)
            if height == tip.height {
                outcome.tipCommit = VerifiedCommit(trusting: BlockAnnouncement(block, info))
            }
        }
        return outcome
    }

    private static func execute(
        _ block: Block, _ info: CommitInfo, after state: ChainState, _ application: any Application,
        _ log: Log
    ) async throws {
        let transactions = try block.transactions.map { try Transaction(decoding: $0) }
        var retry = ExecutionRetry(log, height: block.height)
        while true {
            do {
                let result = try application.execute(
                    block, transactions: transactions, parameters: state.parameters,
                    validators: state.validators)
                guard result.appHash == info.appHash else {
                    try application.rollback()
                    throw NodeError.failed(
                        "height \(block.height): executing it again came to \(result.appHash), not to \(info.appHash)"
                    )
                }
                return try application.commit()
            } catch {
                do {
                    if !Task.isCancelled { try await retry.pause(after: error) }
                } catch is CancellationError {}
                if Task.isCancelled { throw NodeError.stopped(height: application.tip.height) }
            }
        }
    }

    /// The block of the newest vote, as this node kept it: checked when it was voted for, and whole if its hash is the
    /// vote's, its transactions are the header's and its signature holds.
    static func votedBlock(_ votes: VoteLog, after state: ChainState, _ log: Log) -> CheckedBlock? {
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
