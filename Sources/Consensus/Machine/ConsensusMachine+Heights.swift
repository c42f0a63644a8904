import Chain
import Crypto
import Multiformats

/// What is proven of heights above the tip, and what follows (docs/consensus.md, "A claim and a proof"). What a peer
/// merely says starts a bounded question to it, `catchUp`, and changes nothing here.
extension ConsensusMachine {
    /// What speaks for a height that somebody tells of.
    enum HeightEvidence: Sendable {
        /// Nothing.
        case word
        /// A header of this height bears this node's signature. Its key may have served an earlier chain: that proves
        /// nothing, and is worth a question whoever brings it.
        case ownSignature
        /// The leader has signed a header of this height, under the rules that hold. It does so once the block before is
        /// committed.
        case proof
    }

    var isSyncing: Bool { heights.isSyncing }

    /// Whether blocks above the tip are proven to be committed: then this node's is not the newest, and a leader
    /// proposes nothing.
    var isBehind: Bool { heights.proven > state.height }

    /// Whether the votes of an announcement far above the tip, which cannot be used yet, would prove anything new.
    public func wouldProve(_ header: BlockHeader, now: Duration) -> Bool {
        heights.wouldProve(header.height, tip: state.height, now: now) && state.isBasis(of: header)
    }

    mutating func prove(_ height: Int64, _ now: Duration) {
        heights.prove(height, tip: state.height, now: now)
    }

    /// Starts catching up, or tells the sync planner of one more peer that can be asked. A leader looks into a height that
    /// it did not sign itself only when a validator claims it, and once in a while: another may lead by now.
    mutating func ahead(
        _ height: Int64, _ evidence: HeightEvidence, _ from: PeerID, _ now: Duration,
        _ actions: inout [ConsensusAction]
    ) {
        guard height > state.height else { return }
        if evidence == .proof { prove(height &- 1, now) }
        if let leader, evidence == .word {
            guard now >= leader.nextHint, state.validators.contains(where: { $0.key.peerID == from }) else {
                return
            }
            let next = now + settings.maximumResendInterval
            self.leader?.nextHint = next
        }
        if height == state.height &+ 1, current.decidedBlock != nil || isCommitting { return }
        heights.aim(at: height)
        actions.append(.catchUp(to: height, from: from))
    }

    /// Catching up is over, and others hear where this node is now.
    mutating func syncFinished(_ now: Duration, _ actions: inout [ConsensusAction]) {
        heights.endSync(tip: state.height, decided: current.decision?.height, now: now)
        if let tipCommit, announcing.height < state.height { announceTip(tipCommit, now, &actions) }
    }

    /// A block was committed: the newest one is announced to all.
    mutating func announceCommitted(
        _ commit: VerifiedCommit, hasNewRules: Bool, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        heights.committed(tip: state.height, decided: current.decision?.height, hasNewRules: hasNewRules)
        if !isBehind || announcing.isDue(now) { announceTip(commit, now, &actions) }
        if !isBehind, isValidator { actions.append(.confirmCommit(commit)) }
    }

    private mutating func announceTip(
        _ commit: VerifiedCommit, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        announcing.announced(commit.height, now)
        actions.append(.announce(commit, to: nil))
    }
}
