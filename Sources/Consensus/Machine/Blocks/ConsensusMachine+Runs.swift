import Chain
import Execution

/// Runs: decided blocks that a node which is behind commits together. `current` and `next` hold the first two, `following` the
/// others.
extension ConsensusMachine {
    /// The maximum number of decided blocks above the next two: another run is here when one ends.
    public static var mostFollowing: Int { 2 * DecidedRun.mostBlocks }

    /// Notes a decided block above the next two, if it follows what is here.
    mutating func decidedAhead(_ commit: VerifiedCommit, _ block: CheckedBlock) {
        guard next.decidedBlock != nil, following.count < Self.mostFollowing,
            commit.height == state.height &+ 3 &+ Int64(following.count)
        else { return }
        following.append(DecidedBlock(commit, block))
    }

    /// The run that can be committed now; nil if the next block has to be committed alone.
    var dueRun: DecidedRun? {
        guard state.height >= aloneUpTo, case .decided(let commit, let block) = current.outcome,
            case .decided(let nextCommit, let nextBlock) = next.outcome
        else { return nil }
        var blocks: [DecidedBlock] = []
        var bytes = 0
        func add(_ decided: DecidedBlock) -> Bool {
            guard blocks.count < DecidedRun.mostBlocks, bytes < DecidedRun.mostBytes else { return false }
            blocks.append(decided)
            bytes += decided.block.block.bytes.count
            return true
        }
        guard add(DecidedBlock(commit, block)), add(DecidedBlock(nextCommit, nextBlock)) else { return nil }
        for decided in following { guard add(decided) else { break } }
        return DecidedRun(before: state, blocks: blocks)
    }

    mutating func commit(_ run: DecidedRun, _ actions: inout [ConsensusAction]) {
        lane = .committingRun(run)
        actions.append(.commitRun(run))
    }

    /// Notes that the first `count` blocks of the run are committed.
    mutating func runCommitted(_ count: Int, _ now: Duration, _ actions: inout [ConsensusAction]) {
        guard case .committingRun(let run) = lane else { return }
        for decided in run.blocks.prefix(count) where halted == nil {
            settle(decided.block, decided.commit, now, &actions)
        }
    }

    /// Notes that the run could not be committed together and is rolled back.
    mutating func runFailed() {
        guard case .committingRun(let run) = lane else { return }
        lane = .idle
        aloneUpTo = state.height &+ Int64(run.blocks.count)
    }
}
