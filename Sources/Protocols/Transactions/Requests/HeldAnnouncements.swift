import Collections
import Crypto
import Multiformats

/// What peers have announced and are not asked for yet: nothing is fetched now, or they have no room for more requests
/// (docs/protocols.md). A machine, bounded whatever they announce.
struct HeldAnnouncements {
    /// The most announcements in all, some 16 MB with their table. Those beyond will be announced again.
    static let capacity = 262_144
    /// The most announcements of one peer: an announcer remembers no more itself.
    static let perPeer = TransactionAnnouncer.open

    private var held: OrderedDictionary<PeerID, OrderedSet<Hash>> = [:]
    private var places = SharedPlaces<PeerID>(capacity: capacity, perPeer: perPeer)

    /// How many announcements are held.
    var count: Int { places.count }

    /// How many announcements of a peer are held.
    func count(of peer: PeerID) -> Int { places.count(of: peer) }

    /// Keeps what a peer has announced. If there is no room, its newest replace its oldest, which it may have forgotten itself.
    mutating func add(_ ids: [Hash], by peer: PeerID, isTrusted: Bool) {
        for id in ids where held[peer]?.contains(id) != true {
            guard places.take(peer, isTrusted: isTrusted) || makeRoom(for: peer, isTrusted: isTrusted) else {
                return
            }
            held[peer, default: OrderedSet()].append(id)
        }
    }

    private mutating func makeRoom(for peer: PeerID, isTrusted: Bool) -> Bool {
        guard let giver = places.giver(for: peer, isTrusted: isTrusted) else {
            guard places.count(of: peer) > 0 else { return false }
            held[peer]?.removeFirst(1)
            return true
        }
        held[giver]?.removeFirst(1)
        places.take(peer, isTrusted: isTrusted, from: giver)
        return true
    }

    /// Takes out the oldest of one peer, at most as many as `most` says of it; a peer of which it says none is passed over.
    /// Peers take turns. Nil when nothing is left to take.
    mutating func take(_ most: (PeerID) -> Int) -> (peer: PeerID, ids: [Hash])? {
        for peer in held.keys {
            let number = most(peer)
            guard number > 0, var rest = held.removeValue(forKey: peer) else { continue }
            let ids = Array(rest.prefix(number))
            rest.removeFirst(ids.count)
            if !rest.isEmpty { held[peer] = rest }
            for _ in ids { places.release(peer) }
            return (peer, ids)
        }
        return nil
    }

    /// Forgets what a peer has announced.
    mutating func forget(_ peer: PeerID) {
        held[peer] = nil
        places.releaseAll(of: peer)
    }
}
