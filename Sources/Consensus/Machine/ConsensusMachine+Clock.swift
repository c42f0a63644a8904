import Chain
import Crypto

/// A reason to doubt a clock.
struct ClockDoubt: Sendable {
    /// A one-line description.
    let reason: String
    /// The block time that this node's clock does not allow; nil if only others disagree with it.
    let time: UInt64?
}

/// Checks of blocks against the wall clock, and of the wall clock against blocks (docs/consensus.md, "Time").
extension ConsensusMachine {
    /// Withdraws a proposal whose time is too early after the clock was set back, unless the block may have been committed.
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

    /// Doubts the clock if the newest block is far ahead of it: either this node's clock or the leader's is wrong.
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

    /// Ends the doubt once this node's clock allows the time in question: many machines boot with a wrong clock, and
    /// the next block may take long.
    mutating func settleDoubt() {
        if let time = doubt?.time, !isAhead(time) { doubt = nil }
    }

    private func isAhead(_ time: UInt64) -> Bool {
        time > BlockValidation.adding(wallClock, BlockValidation.allowedClockSkew)
    }

    /// The interval at which a doubted clock is checked.
    static var doubtInterval: Duration { .seconds(1) }
}
