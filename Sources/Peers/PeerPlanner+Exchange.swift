import LibP2P
import Multiformats
import Protocols

/// What is told and believed in peer exchange.
extension PeerPlanner {
    /// Answers that one asker gets at once, and the time after which it gets one more. Nodes ask every ten seconds at
    /// most.
    static let answersAtOnce = 5
    static let answerInterval = Duration.seconds(5)
    /// Peers told in one answer.
    static let toldPeers = 100
    /// Peers believed of one answer, and addresses of each.
    static let believedPeers = 100
    static let believedAddresses = 4

    /// The peers of `known` that an asker at `place` is told about, some of them if there are many; nil when it asks
    /// too often. The leader's address is for validators only; hidden, blocked and banned peers are nobody's business,
    /// and an address is only of use to who can reach it.
    mutating func told(
        to asker: PeerID, at place: IP?, of known: [DiscoveredPeer], now: Duration
    ) -> [DiscoveredPeer]? {
        guard askers.allows(asker, now: now) else { return nil }
        hasBeenTold(asker, now: now)
        let mayKnowLeader = validators.contains(asker) || asker == leader
        let open = known.compactMap { peer -> DiscoveredPeer? in
            guard peer.id != asker, peer.id != rules.own, mayKnowLeader || peer.id != leader,
                !rules.hidden.contains(peer.id), !rules.blocked.contains(peer.id),
                !conduct.isBanned(peer.id, now: now)
            else { return nil }
            let addresses = peer.addresses.filter {
                $0.isReachable(from: place) && !rules.blocked.contains($0.ip)
            }
            guard !addresses.isEmpty else { return nil }
            return DiscoveredPeer(id: peer.id, addresses: addresses, protocols: peer.protocols)
        }
        return random.choose(Self.toldPeers, of: open)
    }

    /// What is kept of an answer from a peer at `place`.
    func believed(_ told: [DiscoveredPeer], from place: IP?, now: Duration) -> [DiscoveredPeer] {
        told.prefix(Self.believedPeers).compactMap { peer in
            guard peer.id != rules.own, !rules.blocked.contains(peer.id), !conduct.isBanned(peer.id, now: now)
            else {
                return nil
            }
            let addresses = peer.addresses.filter {
                $0.transport != nil && $0.isReachable(from: place) && !rules.blocked.contains($0.ip)
            }
            guard !addresses.isEmpty else { return nil }
            return DiscoveredPeer(
                id: peer.id, addresses: Array(addresses.prefix(Self.believedAddresses)),
                protocols: peer.protocols)
        }
    }
}
