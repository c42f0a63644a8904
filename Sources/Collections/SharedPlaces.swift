/// Allots the places of a table that all peers share, so that no peer can fill it. A machine.
///
/// Trusted peers (validators, named peers and those this node dialled) may hold up to `perPeer` places each.
/// Strangers together may hold half of all places, and each stranger a quarter of the places that strangers
/// have left. A dozen or two strangers may use up their half. Where places can be reclaimed, `giver` names
/// the peer that must give one up, so a newcomer always finds room.
public struct SharedPlaces<Key: Hashable & Sendable>: Sendable {
    private struct Holder {
        var count = 0
        var isTrusted: Bool
    }

    /// The total number of places.
    public let capacity: Int
    /// The maximum number of places per peer.
    public let perPeer: Int
    /// The number of places taken.
    public private(set) var count = 0
    private var strangers = 0
    /// In order of arrival, so that a choice among equals is deterministic.
    private var holders: OrderedDictionary<Key, Holder> = [:]

    /// Creates a table with all places free.
    public init(capacity: Int, perPeer: Int) {
        self.capacity = capacity
        self.perPeer = perPeer
    }

    /// Returns the number of places a peer holds.
    public func count(of peer: Key) -> Int { holders[peer]?.count ?? 0 }

    /// Returns whether a peer may take another place.
    public func hasRoom(for peer: Key, isTrusted: Bool) -> Bool {
        let own = count(of: peer)
        guard count < capacity, own < perPeer else { return false }
        // Rounded up; otherwise nobody could take the last places.
        return isTrusted || own < (capacity / 2 - strangers + 3) / 4
    }

    /// Returns how many places a peer may take now, if no other takes one meanwhile.
    public func room(for peer: Key, isTrusted: Bool) -> Int {
        guard hasRoom(for: peer, isTrusted: isTrusted) else { return 0 }
        let own = count(of: peer)
        let room = min(capacity - count, perPeer - own)
        guard !isTrusted else { return room }
        // Each place that a stranger takes makes its share a quarter of a place smaller.
        return min(room, max(1, ((capacity / 2 - strangers + 3) / 4 - own) * 4 / 5))
    }

    /// Returns the peer that must give up a place for one that finds no room, or nil if no peer must: the
    /// peer that holds the most places, if it has at least twice as many as the newcomer would then have.
    /// Strangers take places only from strangers, and only once less than an eighth of their half is free.
    public func giver(for peer: Key, isTrusted: Bool) -> Key? {
        let own = count(of: peer)
        let isShort = count >= capacity || !isTrusted && (capacity / 2 - strangers) * 8 < capacity / 2
        guard isShort, own < perPeer else { return nil }
        var most: (peer: Key, count: Int)?
        for (key, holder) in holders where isTrusted || !holder.isTrusted {
            if holder.count > most?.count ?? 0 { most = (key, holder.count) }
        }
        guard let most, most.count >= 2 * (own + 1) else { return nil }
        return most.peer
    }

    /// Takes a place for a peer. Returns false if the peer has no room.
    @discardableResult
    public mutating func take(_ peer: Key, isTrusted: Bool) -> Bool {
        guard hasRoom(for: peer, isTrusted: isTrusted) else { return false }
        add(peer, isTrusted: isTrusted)
        return true
    }

    /// Takes the place that `giver` gives up.
    public mutating func take(_ peer: Key, isTrusted: Bool, from giver: Key) {
        release(giver)
        add(peer, isTrusted: isTrusted)
    }

    private mutating func add(_ peer: Key, isTrusted: Bool) {
        var holder = holders[peer] ?? Holder(isTrusted: isTrusted)
        if holder.isTrusted != isTrusted {
            strangers += isTrusted ? -holder.count : holder.count
            holder.isTrusted = isTrusted
        }
        holder.count += 1
        holders[peer] = holder
        count += 1
        if !isTrusted { strangers += 1 }
    }

    /// Releases one of a peer's places.
    public mutating func release(_ peer: Key) { release(peer, 1) }

    /// Releases all of a peer's places.
    public mutating func releaseAll(of peer: Key) { release(peer, count(of: peer)) }

    private mutating func release(_ peer: Key, _ number: Int) {
        guard var holder = holders[peer] else { return }
        holder.count -= number
        holders[peer] = holder.count > 0 ? holder : nil
        count -= number
        if !holder.isTrusted { strangers -= number }
    }
}
