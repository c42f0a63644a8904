import Chain
import Execution

/// A block that the network has committed, with the proof of that. An object, because it passes from list to list while a node
/// catches up, and its many parts would each be counted again.
public final class DecidedBlock: Sendable {
    /// The proof.
    public let commit: VerifiedCommit
    /// The block.
    public let block: CheckedBlock

    /// Pairs a block with the proof that it is committed.
    public init(_ commit: VerifiedCommit, _ block: CheckedBlock) {
        (self.commit, self.block) = (commit, block)
    }
}

/// Consecutive blocks that a node which catches up commits together, so that one fsync of the block log and one commit of the
/// application suffice for all (docs/consensus.md, "Catching up").
public struct DecidedRun: Sendable {
    /// The maximum number of blocks.
    public static let mostBlocks = 256
    /// The size of blocks after which a run ends, in bytes: what a start after a crash executes again at most, and what an
    /// append takes in memory beside the blocks.
    public static let mostBytes = 8 << 20
    /// The time after which no further block is executed for a run, so that clients and peers see the node advance.
    public static let longest: Duration = .milliseconds(250)

    /// The chain before the first block.
    public let before: ChainState
    /// The blocks, at least one.
    public let blocks: [DecidedBlock]

    /// Executes the blocks in order on the prepared state, at least the first, until `isLate` or until the application asks
    /// for a commit. Returns their results.
    ///
    /// Throws if a block does not follow the one before it, cannot be executed, or has another outcome than the network's.
    /// Then the caller rolls back, and the blocks are committed one at a time, which shows what is wrong with which of them.
    public func execute(on application: any Application, isLate: () -> Bool) throws -> [ExecutionResult] {
        var state = before
        var results: [ExecutionResult] = []
        results.reserveCapacity(blocks.count)
        for decided in blocks {
            guard results.isEmpty || !isLate() else { break }
            let block = decided.block
            try BlockValidation.check(block, follows: state, wallClock: nil)
            guard let result = try Self.result(of: block, after: state, on: application) else { break }
            try decided.commit.check(result, of: block)
            state = try state.after(block.header, hash: block.hash, commit: decided.commit.info)
            results.append(result)
        }
        return results
    }

    /// Returns nil if the application asks for a commit first.
    private static func result(
        of block: CheckedBlock, after state: ChainState, on application: any Application
    ) throws(ExecutionError) -> ExecutionResult? {
        do throws(ExecutionError) {
            return try application.execute(
                block.block, transactions: block.transactions, parameters: state.parameters,
                validators: state.validators)
        } catch {
            guard error == .commitFirst else { throw error }
            return nil
        }
    }
}

extension VerifiedCommit {
    /// Throws unless the execution of the block had the outcome that the network committed.
    func check(_ result: ExecutionResult, of block: CheckedBlock) throws(ConsensusError) {
        guard result.appHash == appHash else {
            throw .applicationHashDiffers(height: block.height, own: result.appHash, committed: appHash)
        }
        guard result.parameterUpdates(of: block) == info.parameterUpdates,
            result.validatorUpdates == info.validatorUpdates
        else {
            throw .mismatch(
                "block \(block.height): its updates of parameters or validators differ from those committed")
        }
    }
}

extension ExecutionResult {
    /// The parameters that the block changes: by its transactions, and by the leader that its header names.
    func parameterUpdates(of block: CheckedBlock) -> ParameterUpdates {
        var updates = parameterUpdates
        if let leader = block.header.newLeader { updates.leader = leader }
        return updates
    }
}
