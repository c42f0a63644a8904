/// Places in a table that all peers share, so that none of them fills it. A machine.
///
/// Trusted peers (validators, named ones and those that this node has dialled) have up to `perPeer` places each. Strangers
/// have at most half of all places together, and each of them no more than a quarter of what strangers leave free: however
/// many there are, one more finds room.
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
    private var holders: [Key: Holder] = [:]

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

    /// Takes a place for a peer; false when it has no room.
    @discardableResult
    public mutating func take(_ peer: Key, isTrusted: Bool) -> Bool {
        guard hasRoom(for: peer, isTrusted: isTrusted) else { return false }
        var holder = holders[peer] ?? Holder(isTrusted: isTrusted)
        if holder.isTrusted != isTrusted {
            strangers += isTrusted ? -holder.count : holder.count
            holder.isTrusted = isTrusted
        }
        holder.count += 1
        holders[peer] = holder
        count += 1
        if !isTrusted { strangers += 1 }
        return true
    }

    /// Gives one of a peer's places back.
    public mutating func release(_ peer: Key) {
        guard var holder = holders[peer] else { return }
        holder.count -= 1
        holders[peer] = holder.count > 0 ? holder : nil
        count -= 1
        if !holder.isTrusted { strangers -= 1 }
    }
}
