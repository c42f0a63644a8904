/// Places in a table that all peers share, so that none of them fills it. A machine.
///
/// Trusted peers (validators, named ones and those that this node has dialled) have up to `perPeer` places each. Strangers
/// have at most half of all places together, and each of them no more than a quarter of what strangers leave free. A dozen
/// or two may leave nothing. Where a place can be taken back, `giver` says which peer's: then one more finds room however
/// many there are.
public struct SharedPlaces<Key: Hashable> {
    private struct Holder {
        var count = 0
        var isTrusted: Bool
    }

    /// Places in all.
    public let capacity: Int
    /// Places of one peer at most.
    public let perPeer: Int
    /// Places that are taken.
    public private(set) var count = 0
    private var strangers = 0
    /// In the order in which they came, from which a choice among equals follows.
    private var holders: OrderedDictionary<Key, Holder> = [:]

    /// Places that are all free.
    public init(capacity: Int, perPeer: Int) {
        self.capacity = capacity
        self.perPeer = perPeer
    }

    /// Places that a peer has taken.
    public func count(of peer: Key) -> Int { holders[peer]?.count ?? 0 }

    /// Whether a peer may take one more.
    public func hasRoom(for peer: Key, isTrusted: Bool) -> Bool {
        let own = count(of: peer)
        guard count < capacity, own < perPeer else { return false }
        // Rounded up, or the last places were nobody's.
        return isTrusted || own < (capacity / 2 - strangers + 3) / 4
    }

    /// The peer that has to give a place up for one that finds no room: the one with most, if that is at least twice what
    /// the other would then have. Strangers take places of strangers only, and none before less than an eighth of their half
    /// is free. Nil when nobody has to.
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

    /// Takes a place for a peer; false when it has no room.
    @discardableResult
    public mutating func take(_ peer: Key, isTrusted: Bool) -> Bool {
        guard hasRoom(for: peer, isTrusted: isTrusted) else { return false }
        add(peer, isTrusted: isTrusted)
        return true
    }

    /// Takes the place that another, its `giver`, gives up.
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

    /// Gives one of a peer's places back.
    public mutating func release(_ peer: Key) { release(peer, 1) }

    /// Gives all of a peer's places back.
    public mutating func releaseAll(of peer: Key) { release(peer, count(of: peer)) }

    private mutating func release(_ peer: Key, _ number: Int) {
        guard var holder = holders[peer] else { return }
        holder.count -= number
        holders[peer] = holder.count > 0 ? holder : nil
        count -= number
        if !holder.isTrusted { strangers -= number }
    }
}
