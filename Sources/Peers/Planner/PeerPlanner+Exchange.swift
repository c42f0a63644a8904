import LibP2P
import Multiformats
import Protocols

/// What a node answers and accepts in peer exchange (docs/peers.md, "Peer exchange").
extension PeerPlanner {
    /// The number of answers that a peer gets at once, and the time until it gets one more. Nodes ask every ten seconds
    /// at most.
    static let answersAtOnce = 5
    static let answerInterval = Duration.seconds(5)
    /// The maximum number of peers in an answer.
    static let toldPeers = 100
    /// The maximum number of peers accepted from an answer, and of addresses for each.
    static let believedPeers = 100
    static let believedAddresses = 4

    /// Returns the peers of `known` to tell `asker`, which is at `place`: a random choice if there are many, nil if it
    /// asks too often. Only validators are told the leader's address; hidden, blocked and banned peers are never told,
    /// nor are addresses that the asker cannot reach.
    mutating func told(
        to asker: PeerID, at place: IP?, of known: [DiscoveredPeer], now: Duration
    ) -> [DiscoveredPeer]? {
        guard askers.allows(asker, now: now) else { return nil }
        hasBeenTold(asker, now: now)
        let mayKnowLeader = validators.contains(asker) || asker == leader
        let open = known.compactMap { peer -> DiscoveredPeer? in
            guard peer.id != asker, mayKnowLeader || peer.id != leader, !rules.hidden.contains(peer.id)
            else { return nil }
            return exchanged(peer, at: place, peer.addresses, now)
        }
        return random.choose(Self.toldPeers, of: open)
    }

    /// Returns the acceptable part of an answer from a peer at `place`.
    func believed(_ told: [DiscoveredPeer], from place: IP?, now: Duration) -> [DiscoveredPeer] {
        told.prefix(Self.believedPeers).compactMap { peer in
            let addresses = peer.addresses.filter { $0.transport != nil }
            return exchanged(peer, at: place, addresses, now, Self.believedAddresses)
        }
    }

    /// Returns a peer with those of its addresses, at most `count`, that may be told to or by a peer at `place`; nil if
    /// the peer itself may not be, or if no address is left.
    private func exchanged(
        _ peer: DiscoveredPeer, at place: IP?, _ addresses: [Multiaddr], _ now: Duration, _ count: Int = .max
    ) -> DiscoveredPeer? {
        guard peer.id != rules.own, !rules.blocked.contains(peer.id), !conduct.isBanned(peer.id, now: now)
        else { return nil }
        let open = addresses.filter { $0.isReachable(from: place) && !rules.blocked.contains($0.ip) }
        guard !open.isEmpty else { return nil }
        return DiscoveredPeer(
            id: peer.id, addresses: Array(open.prefix(count)), protocols: peer.protocols)
    }
}
