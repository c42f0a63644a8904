import Bytes
import Chain
import Consensus
import Crypto
import Execution
import Log
import Reactor
import Storage

/// Brings a starting node to the tip of its block log: follows the log from the state that the node kept, or from the
/// genesis, and executes the blocks that the application has not committed. The application is never ahead of the log
/// (docs/consensus.md, "After a crash").
package enum ChainRecovery {
    /// The state after the last block of the log.
    package struct Outcome: Sendable {
        package var state: ChainState
        /// The proof of the last block.
        var tipCommit: VerifiedCommit?
        /// The number of transactions in the log.
        var transactions: UInt64 = 0
        /// The height of the state in the store's file; 0 without one.
        var kept: Int64 = 0
        /// The state before the last block.
        var latest: KeptState?
        /// The number of blocks that were executed.
        var replayed: Int64 = 0
        /// The block of the latest vote, if it is above the tip.
        var votedBlock: CheckedBlock?
    }

    /// The maximum number of blocks per job: few jobs even for a long log, and the start can be cancelled between them.
    private static let batch: Int64 = 64

    /// Recovers on `worker`. An error's description is one line; `NodeError.stopped` if the task is cancelled. A block
    /// that the machine cannot execute now (memory, disk, an unreadable file) is retried until it succeeds.
    package static func run(
        genesis: Genesis, store: BlockStore, votes: VoteLog, application: any Application, log: Log,
        on worker: Worker, progress: @escaping @Sendable (StartProgress) -> Void
    ) async throws -> Outcome {
        try await withTaskCancellationHandler {
            var outcome = try await worker.run { try begin(genesis, store, application, log) }
            let (applied, chain) = (application.tip, genesis.hash)
            var retry: ExecutionRetry?
            while let tip = store.tip, outcome.state.height < tip.height {
                if Task.isCancelled { throw NodeError.stopped(height: application.tip.height) }
                let (next, failure) = try await worker.run { [outcome] in
                    follow(store, from: outcome, chain, applied, application, progress)
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
            return try await worker.run { [outcome] in
                var outcome = outcome
                outcome.votedBlock = votedBlock(votes, outcome.state, log)
                return outcome
            }
        } onCancel: {
            application.stop()
        }
    }

    private static func begin(
        _ genesis: Genesis, _ store: BlockStore, _ application: any Application, _ log: Log
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
        if let kept = try keptState(genesis, store, log), kept.state.height <= applied.height {
            try check(applied, height: kept.state.height, appHash: kept.state.appHash)
            return Outcome(state: kept.state, transactions: kept.transactions, kept: kept.height)
        }
        if let first = store.firstHeight, first > genesis.initialHeight &+ 1 {
            throw NodeError.failed(
                "the block log begins at height \(first), and neither its file STATE nor an application at its height leads there: "
                    + "restore a backup, or remove the directories of blocks and application to get all blocks from peers"
            )
        }
        return Outcome(
            state: ChainState(
                height: genesis.initialHeight, hash: .zero, appHash: .zero, timestamp: 0,
                parameters: genesis.parameters, validators: genesis.validators))
    }

    /// Returns the state that the node kept, if the log proves it. Throws if the log cannot be read.
    private static func keptState(
        _ genesis: Genesis, _ store: BlockStore, _ log: Log
    ) throws -> KeptState? {
        do {
            return try KeptState.read(from: store, of: genesis)
        } catch  where error is KeptState.Doubt || error is ChainError || error is StorageError {
            // A damaged block is reported when the log is followed.
            log.warning(
                "kept chain state is not used: the block log must be followed from its first block",
                ["reason": .error(error)])
            return nil
        }
    }

    /// Throws unless the application has the log's app hash, if it is at this height.
    private static func check(_ applied: ApplicationTip, height: Int64, appHash: Hash) throws(NodeError) {
        guard height != applied.height || appHash == applied.appHash else {
            throw .failed(
                "height \(height): the application has app hash \(applied.appHash), the log \(appHash)")
        }
    }

    /// Follows the next blocks of the log. Returns how far that came, and the error that stopped it, if any.
    private static func follow(
        _ store: BlockStore, from outcome: Outcome, _ chain: Hash, _ applied: ApplicationTip,
        _ application: any Application, _ progress: (StartProgress) -> Void
    ) -> (Outcome, (any Error)?) {
        var outcome = outcome
        let tip = store.tip?.height ?? 0
        let last = min(tip, outcome.state.height &+ batch)
        do {
            while outcome.state.height < last {
                progress(.executing(height: outcome.state.height &+ 1, tip: tip))
                try follow(store, &outcome, chain, applied, application)
            }
        } catch {
            return (outcome, error)
        }
        return (outcome, nil)
    }

    private static func follow(
        _ store: BlockStore, _ outcome: inout Outcome, _ chain: Hash, _ applied: ApplicationTip,
        _ application: any Application
    ) throws {
        let height = outcome.state.height &+ 1
        guard let stored = try store.block(at: height) else {
            throw NodeError.failed("the block log has no block at height \(height)")
        }
        let block = try Block(decoding: stored.block)
        let info = try CommitInfo(decoding: stored.commitInfo)
        try check(applied, height: height, appHash: info.appHash)
        if height > applied.height {
            try execute(block, info, after: outcome.state, application)
            outcome.replayed &+= 1
        }
        if height == store.tip?.height {
            outcome.latest = KeptState(
                genesis: chain, state: outcome.state, block: stored.hash, transactions: outcome.transactions)
            outcome.tipCommit = VerifiedCommit(trusting: BlockAnnouncement(block, info))
        }
        outcome.state = try outcome.state.after(block.header, hash: stored.hash, commit: info)
        outcome.transactions &+= UInt64(block.transactions.count)
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
