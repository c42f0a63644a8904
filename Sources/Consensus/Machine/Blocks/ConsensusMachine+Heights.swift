import Chain
import Crypto
import Multiformats

/// Proofs of heights above the tip, and their effects (docs/consensus.md, "A claim and a proof"). A mere claim starts
/// a bounded question to the peer, `catchUp`, and changes nothing here.
extension ConsensusMachine {
    /// The evidence for a height that a peer reports.
    enum HeightEvidence: Sendable {
        /// The peer's word only.
        case word
        /// A header of this height has this node's own signature. The key may have served an earlier chain, so this
        /// proves nothing, but is worth a question to any sender.
        case ownSignature
        /// The leader signed a header of this height under the current rules. It signs one only after the previous
        /// block is committed.
        case proof
    }

    var isSyncing: Bool { heights.isSyncing }

    /// Whether blocks above the tip are proven to be committed. A leader that is behind proposes nothing.
    var isBehind: Bool { heights.proven > state.height }

    /// Returns whether the votes on a block far above the tip, which cannot be used yet, would prove a new height.
    public func wouldProve(_ header: BlockHeader, now: Duration) -> Bool {
        heights.wouldProve(header.height, tip: state.height, now: now) && state.isBasis(of: header)
    }

    mutating func prove(_ height: Int64, _ now: Duration) {
        heights.prove(height, tip: state.height, now: now)
    }

    /// Starts to sync, or gives the sync planner another peer to ask. A leader follows a mere `word` only from a
    /// validator, and at intervals: another node may lead by now.
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

    /// Ends syncing, and announces the newest block unless that was done.
    mutating func syncFinished(_ now: Duration, _ actions: inout [ConsensusAction]) {
        heights.endSync(tip: state.height, decided: current.decision?.height, now: now)
        if let tipCommit, announcing.height < state.height { announceTip(tipCommit, now, &actions) }
    }

    /// Notes a committed block, and announces the newest one to all peers.
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
