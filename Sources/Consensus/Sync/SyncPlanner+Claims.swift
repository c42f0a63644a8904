import Crypto
import Multiformats

/// Peers' claims: how long the planner believes them, and its treatment of peers that do not deliver.
extension SyncPlanner {
    /// The maximum number of peers that have claimed heights but not yet reported how they can be asked.
    static var mostUnknown: Int { 32 }
    /// The time and the number of failed requests after which an unproven claim is forgotten.
    static var claimPatience: Duration { .seconds(30) }
    static var claimTries: Int { 3 }
    /// The time for which a peer that has proven a block may be busy.
    static var busyPatience: Duration { .seconds(300) }
    /// The number of recent failures from which on a peer is asked only when no other can be.
    static var unreliable: Int { 2 }
    /// The time after which a failure is forgiven.
    static var forgiven: Duration { .seconds(120) }
    /// The maximum number of peers whose failures are remembered.
    static var remembered: Int { 1_024 }
    /// The number of failures that a wrong block counts as.
    static var liesWeigh: Int { 3 }
    /// The number of failures in a row after which a peer's claim is no reason to go on.
    static var doubtful: Int { 4 }
    /// The time after which a doubtful peer's next claim gives it one more chance.
    static var doubt: Duration { .seconds(10) }

    /// Handles a peer's claim of a height.
    mutating func start(
        _ height: Int64, _ from: PeerID, _ now: Duration, _ actions: inout [Action]
    ) {
        guard height > tip else { return }
        if take(height, from, now) {
            target = max(target ?? height, height)
            retry = nil
        } else if target == nil {
            actions.append(.finished(reached: false))
        }
    }

    /// Records a peer's claim. Returns false if its claims are ignored for now, or if it cannot be asked.
    private mutating func take(_ height: Int64, _ from: PeerID, _ now: Duration) -> Bool {
        guard peers[from] != nil || peers.values.count(where: { !$0.isKnown }) < Self.mostUnknown else {
            return false
        }
        var peer = peers[from] ?? Peer(ways: .height)
        guard peer.canBeAsked, !peer.isDoubtful || peer.doubtUntil <= now else { return false }
        peer.best = max(peer.best ?? height, height)
        if peer.isDoubtful { peer.giveChance(now, tip) }
        let claim = peer.claim ?? Claim(height: height, since: now, tip: tip)
        peer.claim = claim
        peer.claim?.height = max(claim.height, height)
        peers[from] = peer
        return true
    }

    /// Counts a failure. A peer that has thereby become doubtful is reported as stalled.
    mutating func fail(_ peer: inout Peer, _ id: PeerID, _ now: Duration, _ actions: inout [Action]) {
        let wasDoubtful = peer.isDoubtful
        peer.fail(1, now)
        peer.claim?.tries += 1
        letDowns.add(1, to: id, now: now)
        if peer.isDoubtful, !wasDoubtful { actions.append(.stalled(id)) }
    }

    /// Counts a refusal of a busy peer, which is asked again soon, then later, and last. Repeated refusals count like
    /// silence, unless there is reason to believe the peer's claim.
    mutating func refused(_ peer: inout Peer, _ id: PeerID, _ now: Duration, _ actions: inout [Action]) {
        peer.refusals += 1
        peer.claim?.tries += 1
        if peer.refusals % Self.refusalsWeigh == 0 {
            letDowns.add(1, to: id, now: now)
            let isLiar = peer.claim != nil && !believes(peer, now)
            // A peer without a claim counts as failed, but has promised nothing and so is not reported as stalled.
            if isLiar || peer.claim == nil { peer.fail(1, now) }
            if isLiar, peer.failures == Self.doubtful { actions.append(.stalled(id)) }
        }
        let aside = min(Self.busyAside * (1 << min(peer.refusals - 1, 6)), Self.longestBusyAside)
        peer.asideUntil = max(peer.asideUntil ?? .zero, now + aside)
    }

    /// Returns whether a peer may be busy: a block of the height that it claims is proven, or it has proven a block
    /// lately.
    private func believes(_ peer: Peer, _ now: Duration) -> Bool {
        guard let claim = peer.claim, claim.height > provenHeight else { return true }
        return peer.provenAt.map { now - $0 < Self.busyPatience } ?? false
    }

    /// Returns when to forget the peer's claim; nil while there is no reason to doubt it.
    func claimEnd(of peer: Peer) -> Duration? {
        guard let claim = peer.claim else { return nil }
        if claim.height <= tip || peer.isDoubtful { return .zero }
        guard claim.tries >= Self.claimTries, claim.height > provenHeight else { return nil }
        let end = claim.since + Self.claimPatience
        return peer.provenAt.map { max(end, $0 + Self.busyPatience) } ?? end
    }

    /// Forgets claims that were not proven in time. The target falls to the others' claims; if there are none,
    /// syncing ends and is tried again later.
    mutating func forgetClaims(_ now: Duration, _ actions: inout [Action]) {
        var isForgotten = false
        for (id, peer) in peers {
            guard let claim = peer.claim, let end = claimEnd(of: peer), end <= now else { continue }
            peers[id]?.claim = nil
            // The claim was true, whichever peer sent the blocks.
            guard claim.height > tip else { continue }
            // A peer that has proven blocks and is busy now may be the only one that has more.
            let isAlone = peer.hasProven && tip <= claim.tip
            if !peer.isDoubtful, !isAlone { actions.append(.stalled(id)) }
            peers[id]?.doubt(now)
            letDowns.add(1, to: id, now: now)
            isForgotten = true
        }
        guard isForgotten, let target else { return }
        let others = peers.values.lazy.filter { !$0.isDoubtful }.compactMap(\.best).max() ?? tip
        guard others < target else { return }
        if others > tip { self.target = others } else { finish(false, now, &actions) }
    }
}

extension SyncPlanner.Peer {
    private typealias Planner = SyncPlanner<Fetched, Proven>

    /// The maximum number of concurrent requests: one until a block of the peer was proven, and after a failure.
    var mostRequests: Int {
        guard hasProven, failures == 0 else { return 1 }
        return ways.contains(.range) ? Planner.rangesPerPeer : Planner.requestsPerPeer
    }

    /// Whether the peer can be asked for a block whose hash is unknown.
    var canBeAsked: Bool { !ways.isDisjoint(with: [.range, .height]) }

    /// Whether the peer failed so often in a row that its claim is no reason to go on.
    var isDoubtful: Bool { failures >= Planner.doubtful }

    var patience: Duration { min(Planner.patience * (1 << min(failures, 5)), Planner.longestPatience) }

    mutating func fail(_ weight: Int, _ now: Duration) {
        failures = min(failures + weight, 16)
        asideUntil = now + min(Planner.setAside * (1 << min(failures - 1, 6)), Planner.longestSetAside)
        if isDoubtful { doubtUntil = now + Planner.doubt }
    }

    /// Makes the planner ignore the peer's claims for a while.
    mutating func doubt(_ now: Duration) {
        failures = max(failures, Planner.doubtful)
        doubtUntil = now + Planner.doubt
    }

    /// Lets the peer prove its claim. One more failure makes it doubtful again.
    mutating func giveChance(_ now: Duration, _ tip: Int64) {
        failures = Planner.doubtful - 1
        refusals = 0
        asideUntil = nil
        claim = best.flatMap { $0 > tip ? Planner.Claim(height: $0, since: now, tip: tip) : nil }
    }

    /// Notes that a block of the peer is the one that the network committed at its height.
    mutating func proved(_ height: Int64, _ now: Duration) {
        provenAt = now
        failures = 0
        refusals = 0
        asideUntil = nil
        if let old = claim {
            claim = Planner.Claim(height: old.height, since: now, tip: max(old.tip, height))
        }
    }
}
