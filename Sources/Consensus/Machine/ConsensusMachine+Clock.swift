import Chain
import Crypto

/// What is said against a clock.
struct ClockDoubt: Sendable {
    /// One line.
    let reason: String
    /// The time that this node's clock does not allow for a block; nil when only others say so.
    let time: UInt64?
}

/// What the wall clock says about blocks, and blocks about the wall clock (docs/consensus.md, "Time").
extension ConsensusMachine {
    /// The clock was set back: what it proposed before would be refused now. A block that may have been committed stays
    /// what it is.
    mutating func withdrawIfTooEarly(_ now: Duration, _ actions: inout [ConsensusAction]) {
        guard halted == nil, let block = current.proposedBlock, current.decision == nil, !isCommitting,
            leader?.tally.mayBeCommitted == false
        else { return }
        let time = block.header.timestamp
        guard time > BlockValidation.latestTimestamp(after: state, wallClock: wallClock) else { return }
        withdraw(
            "its time is \((time - wallClock) / 1000) s ahead of this node's clock, which was set back",
            .tooEarly(isKnown: true), now, &actions)
    }

    /// A committed block far ahead of this node's clock speaks against the clock, or the one of the leader that made it.
    mutating func judgeTip(_ actions: inout [ConsensusAction]) {
        let before = doubt
        doubt = nil
        guard let tipCommit, isAhead(state.timestamp) else { return }
        let reason =
            "the newest block's time is \((state.timestamp - wallClock) / 1000) s ahead of this node's clock: this clock is behind, or the leader's was ahead"
        doubt = ClockDoubt(reason: reason, time: state.timestamp)
        guard before == nil else { return }
        actions.append(
            .warn(
                "a committed block is ahead of the clock", height: tipCommit.height, block: tipCommit.hash,
                reason: reason))
    }

    /// Takes back what was said against this node's clock once it shows a time that speaks for it: many machines boot with
    /// a wrong one, and there may be no next block for long.
    mutating func settleDoubt() {
        if let time = doubt?.time, !isAhead(time) { doubt = nil }
    }

    private func isAhead(_ time: UInt64) -> Bool {
        time > BlockValidation.adding(wallClock, BlockValidation.allowedClockSkew)
    }

    /// How often the clock is looked at while something speaks against it.
    static var doubtInterval: Duration { .seconds(1) }
}
