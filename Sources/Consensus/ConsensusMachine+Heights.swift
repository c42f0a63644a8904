import Chain
import Crypto
import Multiformats

/// What is proven of heights above the tip, and what follows (docs/consensus.md, "A claim and a proof"). What a peer
/// merely says starts a bounded question to it, `catchUp`, and changes nothing here.
extension ConsensusMachine {
    /// Whether blocks above the tip are proven to be committed: then this node's is not the newest, and a leader
    /// proposes nothing.
    var isBehind: Bool { provenHeight > state.height }

    /// Whether the votes of an announcement far above the tip, which cannot be used yet, would prove anything new.
    public func wouldProve(_ header: BlockHeader) -> Bool {
        header.height > state.height &+ 2 && header.height > provenHeight && state.isBasis(of: header)
    }

    /// A block of this height is committed: enough votes were seen, or what only follows them.
    mutating func prove(_ height: Int64) { provenHeight = max(provenHeight, height) }

    /// Starts catching up, or tells the sync planner of one more peer that can be asked. A leader looks into a height that
    /// it did not sign itself only when a validator claims it, and once in a while: another may lead by now.
    ///
    /// - Parameter proven: whether the leader is known to have signed a header of this height. It does so once the
    ///   block before is committed, which is what this proves.
    mutating func ahead(
        _ height: Int64, _ proven: Bool, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard height > state.height else { return }
        if proven { prove(height &- 1) }
        if isLeader, !proven {
            guard now >= nextHint, state.validators.contains(where: { $0.key.peerID == from }) else { return }
            nextHint = now + settings.maximumResendInterval
        }
        if height == state.height &+ 1, current.decidedBlock != nil || isCommitting { return }
        // A greater height that another peer claimed must not hide what this one has.
        syncTarget = max(syncTarget ?? height, height)
        actions.append(.catchUp(to: height, from: from))
    }

    /// Catching up is over. What nobody could deliver is not waited for, and others hear where this node is now.
    mutating func syncFinished(_ now: Duration, _ actions: inout [ConsensusAction]) {
        syncTarget = nil
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
        prove(state.height)
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
    /// while after: catching up proves two at a time.
    mutating func judgeSyncing(_ now: Duration) {
        let distance = provenHeight &- state.height
        if distance > 2 || (distance == 2 && syncTarget != nil) { levelAt = now + Self.levelPatience }
        isSyncing = syncTarget != nil && levelAt > now
    }

    /// Between two announcements of a node that catches up.
    private static var announcePause: Duration { .seconds(5) }
    /// How long nothing two heights above the tip is proven before a node counts as level.
    private static var levelPatience: Duration { .seconds(5) }
}
