import Crypto
import Multiformats

/// What peers claim, for how long that is believed, and what becomes of those who do not deliver.
extension SyncPlanner {
    /// Peers at most that tell of heights before they tell how they can be asked.
    static var mostUnknown: Int { 32 }
    /// A claim is forgotten when nothing of it was proven for so long, and so many requests have come to nothing.
    static var claimPatience: Duration { .seconds(30) }
    static var claimTries: Int { 3 }
    /// Who has proven a block may be busy for so long.
    static var busyPatience: Duration { .seconds(300) }
    /// A peer that did not deliver so often lately is asked when no other can be.
    static var unreliable: Int { 2 }
    /// The time after which one of these times is forgiven, and how many peers are remembered.
    static var forgiven: Duration { .seconds(120) }
    static var remembered: Int { 1_024 }
    /// A wrong block weighs as many failures.
    static var liesWeigh: Int { 3 }
    /// Failures in a row after which what a peer claims to have is no reason to go on.
    static var doubtful: Int { 4 }
    /// The time after which its next claim gives it one more chance.
    static var doubt: Duration { .seconds(10) }

    /// A peer tells of a height.
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

    /// Takes a peer's claim, unless its word counts for nothing now, or it cannot be asked.
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

    /// Counts a failure. A peer that has become doubtful has let the node wait for long enough to be called that.
    mutating func fail(_ peer: inout Peer, _ id: PeerID, _ now: Duration, _ actions: inout [Action]) {
        let wasDoubtful = peer.isDoubtful
        peer.fail(1, now)
        peer.claim?.tries += 1
        letDowns.add(1, to: id, now: now)
        if peer.isDoubtful, !wasDoubtful { actions.append(.stalled(id)) }
    }

    /// A peer that is busy is asked again soon, then later, and asked last. In the end that counts like silence, unless
    /// there is reason to believe what it claims.
    mutating func refused(_ peer: inout Peer, _ id: PeerID, _ now: Duration, _ actions: inout [Action]) {
        peer.refusals += 1
        peer.claim?.tries += 1
        if peer.refusals % Self.refusalsWeigh == 0 {
            letDowns.add(1, to: id, now: now)
            let isLiar = peer.claim != nil && !believes(peer, now)
            // Who has claimed nothing has promised nothing.
            if isLiar || peer.claim == nil { peer.fail(1, now) }
            if isLiar, peer.failures == Self.doubtful { actions.append(.stalled(id)) }
        }
        let aside = min(Self.busyAside * (1 << min(peer.refusals - 1, 6)), Self.longestBusyAside)
        peer.asideUntil = max(peer.asideUntil ?? .zero, now + aside)
    }

    /// Whether a peer may be busy: there is a block of the height that it claims, or it has proven a block lately.
    private func believes(_ peer: Peer, _ now: Duration) -> Bool {
        guard let claim = peer.claim, claim.height > provenHeight else { return true }
        return peer.provenAt.map { now - $0 < Self.busyPatience } ?? false
    }

    /// When the peer's claim is to be looked at; nil while there is no reason to doubt it.
    func claimEnd(of peer: Peer) -> Duration? {
        guard let claim = peer.claim else { return nil }
        if claim.height <= tip || peer.isDoubtful { return .zero }
        guard claim.tries >= Self.claimTries, claim.height > provenHeight else { return nil }
        let end = claim.since + Self.claimPatience
        return peer.provenAt.map { max(end, $0 + Self.busyPatience) } ?? end
    }

    /// Forgets what was claimed and not proven in time. The target is what others claim; if that is nothing, the heights
    /// are asked for once more in a while, as everything that was given up.
    mutating func forgetClaims(_ now: Duration, _ actions: inout [Action]) {
        var isForgotten = false
        for (id, peer) in peers {
            guard let claim = peer.claim, let end = claimEnd(of: peer), end <= now else { continue }
            peers[id]?.claim = nil
            // It was true, whoever has brought the blocks.
            guard claim.height > tip else { continue }
            // Who has proven some and is busy now may be the only one that has more.
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

    /// Requests that it may have at once: one until a block of its was proven, and after a failure.
    var mostRequests: Int {
        guard hasProven, failures == 0 else { return 1 }
        return ways.contains(.range) ? Planner.rangesPerPeer : Planner.requestsPerPeer
    }

    /// Whether it can be asked for a block whose hash is not known.
    var canBeAsked: Bool { !ways.isDisjoint(with: [.range, .height]) }

    /// Whether it failed so often in a row that its word is no reason to go on.
    var isDoubtful: Bool { failures >= Planner.doubtful }

    var patience: Duration { min(Planner.patience * (1 << min(failures, 5)), Planner.longestPatience) }

    mutating func fail(_ weight: Int, _ now: Duration) {
        failures = min(failures + weight, 16)
        asideUntil = now + min(Planner.setAside * (1 << min(failures - 1, 6)), Planner.longestSetAside)
        if isDoubtful { doubtUntil = now + Planner.doubt }
    }

    /// Its word counts for nothing for a while.
    mutating func doubt(_ now: Duration) {
        failures = max(failures, Planner.doubtful)
        doubtUntil = now + Planner.doubt
    }

    /// It may show that it has what it claims. One more failure will be enough.
    mutating func giveChance(_ now: Duration, _ tip: Int64) {
        failures = Planner.doubtful - 1
        refusals = 0
        asideUntil = nil
        claim = best.flatMap { $0 > tip ? Planner.Claim(height: $0, since: now, tip: tip) : nil }
    }

    /// Its block of a height is what the network committed.
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
