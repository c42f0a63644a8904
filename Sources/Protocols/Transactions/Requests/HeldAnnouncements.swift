import Collections
import Crypto
import Multiformats

/// What peers have announced while nothing is fetched. A machine, bounded whatever they announce.
struct HeldAnnouncements {
    /// The most announcements in all. Those beyond will be announced again.
    static let capacity = 65_536
    /// The most announcements of one peer.
    static let perPeer = TransactionRequests.maxPerPeer

    private var held: OrderedDictionary<PeerID, Deque<Hash>> = [:]
    private var places = SharedPlaces<PeerID>(capacity: capacity, perPeer: perPeer)

    /// How many announcements are held.
    var count: Int { places.count }

    /// Keeps what a peer has announced. If there is no room, its newest replace its oldest, which it may have forgotten itself.
    mutating func add(_ ids: [Hash], by peer: PeerID, isTrusted: Bool) {
        for id in ids {
            guard places.take(peer, isTrusted: isTrusted) || makeRoom(for: peer, isTrusted: isTrusted) else {
                return
            }
            held[peer, default: []].append(id)
        }
    }

    private mutating func makeRoom(for peer: PeerID, isTrusted: Bool) -> Bool {
        guard let giver = places.giver(for: peer, isTrusted: isTrusted) else {
            return held[peer]?.popFirst() != nil
        }
        _ = held[giver]?.popFirst()
        places.take(peer, isTrusted: isTrusted, from: giver)
        return true
    }

    /// Takes out the oldest of one peer, at most `most`. Peers take turns. Nil when nothing is left.
    mutating func take(_ most: Int) -> (peer: PeerID, ids: [Hash])? {
        guard let peer = held.keys.first(where: { _ in true }), var rest = held.removeValue(forKey: peer)
        else { return nil }
        let ids = Array(rest.prefix(most))
        rest.removeFirst(ids.count)
        if !rest.isEmpty { held[peer] = rest }
        for _ in ids { places.release(peer) }
        return (peer, ids)
    }

    /// Forgets what a peer has announced.
    mutating func forget(_ peer: PeerID) {
        held[peer] = nil
        places.releaseAll(of: peer)
    }
}
