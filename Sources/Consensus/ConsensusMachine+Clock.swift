import Chain
import Crypto

/// What the wall clock says about blocks, and blocks about the wall clock (docs/consensus.md, "Time").
extension ConsensusMachine {
    /// The clock was set back: what it proposed before would be refused now. A block that may have been committed stays
    /// what it is.
    mutating func withdrawIfTooEarly(_ now: Duration, _ actions: inout [ConsensusAction]) {
        guard isLeader, let block = current.proposedBlock, current.decision == nil, !isCommitting,
            !current.mayBeCommitted
        else { return }
        let time = block.header.timestamp
        guard time > BlockValidation.latestTimestamp(after: state, wallClock: wallClock) else { return }
        withdraw(
            "its time is \((time - wallClock) / 1000) s ahead of this node's clock, which was set back",
            .tooEarly(isKnown: true), now, &actions)
    }

    /// A committed block far ahead of this node's clock speaks against the clock, or the one of the leader that made it.
    mutating func judgeTip(_ actions: inout [ConsensusAction]) {
        let before = clockDoubt
        clockDoubt = nil
        guard let tipCommit,
            state.timestamp > BlockValidation.adding(wallClock, BlockValidation.allowedClockSkew)
        else { return }
        let reason =
            "the newest block's time is \((state.timestamp - wallClock) / 1000) s ahead of this node's clock: this clock is behind, or the leader's was ahead"
        clockDoubt = reason
        guard before == nil else { return }
        actions.append(
            .warn(
                "a committed block is ahead of the clock", height: tipCommit.height, block: tipCommit.hash,
                reason: reason))
    }
}
