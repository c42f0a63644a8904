import Collections
import LibP2P
import Multiformats

/// Which peers to dial (docs/peers.md, "Dialling").
extension PeerPlanner {
    /// The maximum number of concurrent dials.
    static let dialsAtOnce = 16

    /// The number of connections that this node should have dialled itself, however many are inbound: a node with
    /// inbound connections only can be surrounded.
    private var ownChoices: Int { min(rules.target, max(2, rules.target / 2)) }

    /// The peers whose addresses the next tick needs.
    enum Interest: Equatable {
        case nobody
        /// Only these.
        case some([PeerID])
        case everybody
    }

    /// The peers whose addresses are needed now: searching a large address book every second would be wasteful.
    var interest: Interest {
        if admitsStrangers, missing > 0 { return .everybody }
        var peers = Array(rules.named.filter { links[$0] == nil })
        if role == .sentry, missingValidators > 0 {
            peers += validators.filter { links[$0] == nil && $0 != leader && !rules.named.contains($0) }
        }
        return peers.isEmpty ? .nobody : .some(peers)
    }

    mutating func dial(_ candidates: [Candidate], _ now: Duration, _ actions: inout [Action]) {
        var chosen: OrderedSet<PeerID> = []
        func mayDial(_ peer: PeerID, _ ip: IP?) -> Bool {
            peer != rules.own && links[peer] == nil && !chosen.contains(peer)
                && dials.isDue(peer, isWanted: isWanted(peer), now: now)
                && objection(to: peer, ip, now: now) == nil
        }
        for peer in rules.kept.keys where mayDial(peer, nil) { chosen.append(peer) }
        if role != .sentry {
            for peer in validators where mayDial(peer, nil) { chosen.append(peer) }
            if let leader, mayDial(leader, nil) { chosen.append(leader) }
        }
        let open = candidates.filter { mayDial($0.peer, $0.ip) }
        for candidate in open where standing(of: candidate.peer) == .named { chosen.append(candidate.peer) }
        if role == .sentry {
            // The leader would refuse.
            let some = open.filter { standing(of: $0.peer) == .validator && $0.peer != leader }
            for candidate in random.choose(min(missingValidators, openSlots), of: some) {
                chosen.append(candidate.peer)
            }
        }
        let strangers = open.filter { standing(of: $0.peer) == .stranger }
        chosen.append(
            contentsOf: choose(
                min(missing - chosen.count, strangerSlots - self.strangers.count), of: strangers))
        for peer in chosen.prefix(max(0, Self.dialsAtOnce - dials.running.count)) {
            dials.begin(peer)
            actions.append(.dial(peer, rules.kept[peer] ?? []))
        }
    }

    /// The number of validators that a sentry still lacks.
    private var missingValidators: Int {
        let connected = links.keys.count { standing(of: $0) == .validator }
        let running = dials.running.count { standing(of: $0) == .validator }
        return max(1, rules.target / 4) - connected - running
    }

    /// The number of free slots, less the dials in progress.
    private var openSlots: Int { rules.maximum - residents - dials.running.count }

    /// The number of connections that this node still lacks.
    private var missing: Int {
        let counted = links.filter { $0.value.kind != .guest && $0.value.visitEnd == nil }
        let running = dials.running.count { links[$0] == nil }
        var missing = rules.target - counted.count - running
        let own = counted.values.count { $0.direction == .outbound }
        missing = max(missing, ownChoices - own - running)
        if role == .validator {
            // However many validators there are, a validator needs some sentries to carry blocks to the rest of the
            // network.
            let strangers = counted.keys.count { standing(of: $0) == .stranger }
            missing = max(missing, rules.target / 4 - strangers - running)
        }
        return min(missing, openSlots)
    }

    /// Chooses strangers to dial: networks with the fewest connections first, then peers that have answered before,
    /// then at random.
    private mutating func choose(_ count: Int, of candidates: [Candidate]) -> [PeerID] {
        guard count > 0 else { return [] }
        var present: [IPNetwork: Int] = [:]
        for link in links.values where link.direction == .outbound {
            if let network = link.ip?.neighbourhood { present[network, default: 0] += 1 }
        }
        var left = random.choose(candidates.count, of: candidates)
        var chosen: [PeerID] = []
        while chosen.count < count, !left.isEmpty {
            func rank(_ candidate: Candidate) -> (Int, Int) {
                let neighbours =
                    candidate.ip.map { $0.scope == .global ? present[$0.neighbourhood] ?? 0 : 0 } ?? 0
                return (neighbours, candidate.isVerified ? 0 : 1)
            }
            guard let best = left.indices.min(by: { rank(left[$0]) < rank(left[$1]) }) else { break }
            let candidate = left.remove(at: best)
            if let network = candidate.ip?.neighbourhood { present[network, default: 0] += 1 }
            chosen.append(candidate.peer)
        }
        return chosen
    }
}
