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

    /// Whether blocks above the tip are proven to be committed: then this node's is not the newest, and a leader
    /// proposes nothing.
    var isBehind: Bool { provenHeight > state.height }

    /// Whether the votes of an announcement far above the tip, which cannot be used yet, would prove anything new.
    public func wouldProve(_ header: BlockHeader, now: Duration) -> Bool {
        header.height > state.height &+ 2 && header.height > provenHeight && now >= believesAt
            && state.isBasis(of: header)
    }

    /// A block of this height is committed: enough votes were seen, or what only follows them.
    mutating func prove(_ height: Int64, _ now: Duration) {
        guard height > provenHeight else { return }
        if height > state.height &+ 2 {
            guard now >= believesAt else { return }
            awaited = height
        }
        provenHeight = height
    }

    /// Starts catching up, or tells the sync planner of one more peer that can be asked. A leader looks into a height that
    /// it did not sign itself only when a validator claims it, and once in a while: another may lead by now.
    mutating func ahead(
        _ height: Int64, _ evidence: HeightEvidence, _ from: PeerID, _ now: Duration,
        _ actions: inout [ConsensusAction]
    ) {
        guard height > state.height else { return }
        if evidence == .proof { prove(height &- 1, now) }
        if isLeader, evidence == .word {
            guard now >= nextHint, state.validators.contains(where: { $0.key.peerID == from }) else { return }
            nextHint = now + settings.maximumResendInterval
        }
        if height == state.height &+ 1, current.decidedBlock != nil || isCommitting { return }
        // A greater height that another peer claimed must not hide what this one has.
        syncTarget = max(syncTarget ?? height, height)
        actions.append(.catchUp(to: height, from: from))
    }

    /// Catching up is over. What nobody could deliver is not waited for, and others hear where this node is now.
    ///
    /// Headers do not name their chain, so an earlier one of the same leader and validators proves heights as this one does.
    /// When nobody delivers what was proven, twice or more, proofs far above the tip count for nothing for longer and longer.
    mutating func syncFinished(_ now: Duration, _ actions: inout [ConsensusAction]) {
        syncTarget = nil
        if let height = awaited, height > state.height {
            // Once may be a cut that has just healed.
            if undelivered > 0 { believesAt = now + Self.disbelief * (1 << (undelivered - 1)) }
            undelivered = min(undelivered + 1, 6)
        }
        awaited = nil
        provenHeight = max(state.height, current.decision?.height ?? 0)
        if let tipCommit, announcedHeight < state.height { announceTip(tipCommit, now, &actions) }
    }

    /// A block was committed: the newest one is announced to all. Of many that are made up for, one in a while: peers may
    /// wait at this node's tip.
    mutating func announceCommitted(
        _ commit: VerifiedCommit, hasNewRules: Bool, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        if hasNewRules {
            // What former validators or a former leader have proved may be a lie of theirs.
            provenHeight = current.decision?.height ?? 0
        }
        prove(state.height, now)
        if let height = awaited, state.height >= height { (awaited, undelivered) = (nil, 0) }
        if let target = syncTarget, state.height >= target { syncTarget = nil }
        if !isBehind || now >= announcedAt + Self.announcePause { announceTip(commit, now, &actions) }
        if !isBehind, role == .validator { actions.append(.confirmCommit(commit)) }
    }

    private mutating func announceTip(
        _ commit: VerifiedCommit, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        announcedHeight = commit.height
        announcedAt = now
        actions.append(.announce(commit, to: nil))
    }

    /// A node counts as catching up while blocks further above its tip than the next ones are proven, and for a short
    /// while after. Catching up may prove no more than two at a time: then it counts as that once it has not been level for
    /// as long. A busy node that follows is level between blocks, whatever is claimed meanwhile.
    mutating func judgeSyncing(_ now: Duration) {
        let distance = provenHeight &- state.height
        if distance <= 0 { wasLevelAt = now }
        if distance > 2 || (distance == 2 && now >= wasLevelAt + Self.levelPatience) {
            levelAt = now + Self.levelPatience
        }
        isSyncing = syncTarget != nil && levelAt > now
    }

    /// Between two announcements of a node that catches up.
    private static var announcePause: Duration { .seconds(5) }
    /// How long proofs far above the tip are not believed after two that led to nothing; doubles each time.
    private static var disbelief: Duration { .seconds(60) }
    /// How long nothing two heights above the tip is proven before a node counts as level.
    private static var levelPatience: Duration { .seconds(5) }
}
