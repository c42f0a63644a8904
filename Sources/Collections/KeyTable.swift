/// The keys of an ordered collection: in the order in which they came, and found by their hashes.
///
/// A key stays at its position when another is removed, which leaves a hole, so that removing takes constant time
/// wherever the key is; when most positions are holes, the keys close ranks. The first and the last position are never
/// holes. While there are few keys, no index is kept and no key hashed: they are looked through, and close ranks at once.
@usableFromInline
struct KeyTable<Key: Hashable> {
    /// Keys that are looked through rather than hashed, at most.
    @usableFromInline static var unhashed: Int { 15 }

    /// Where a key is or would go.
    @usableFromInline
    struct Spot {
        /// The key's position; -1 if it is not there.
        @usableFromInline let position: Int
        /// Its slot and its tag in the index, if there is one.
        @usableFromInline let slot: Int
        @usableFromInline let tag: UInt32

        @inlinable
        init(_ position: Int, slot: Int, tag: UInt32) {
            self.position = position
            self.slot = slot
            self.tag = tag
        }

        @inlinable var isThere: Bool { position >= 0 }
    }

    /// The keys by position. A hole still holds the key that was there, until the keys close ranks.
    @usableFromInline var keys: [Key] = []
    @usableFromInline var index = PositionIndex()

    @inlinable
    init() {}

    @inlinable var count: Int { index.isEmpty ? keys.count : keys.count &- index.holes }
    /// The first position that holds a key, if any does.
    @inlinable var first: Int { index.isEmpty ? 0 : index.first }
    @inlinable var hasHoles: Bool { !index.isEmpty && index.holes > 0 }
    /// Whether the next key needs `closeRanks` first.
    @inlinable var isFull: Bool { index.isEmpty ? keys.count >= Self.unhashed : keys.count >= index.capacity }
    /// Whether more positions are holes than hold keys.
    @inlinable var isSparse: Bool { hasHoles && index.holes > count }

    @inlinable
    static func tag(_ key: Key) -> UInt32 { UInt32(truncatingIfNeeded: key.hashValue) }

    /// Makes room for `count` keys in an empty table.
    @inlinable
    mutating func reserve(_ count: Int) {
        keys.reserveCapacity(count)
        if count > Self.unhashed { index = PositionIndex(count: count) }
    }

    /// Looks a key up.
    @inlinable @inline(__always)
    func find(_ key: Key) -> Spot { index.isEmpty ? Spot(scan(key), slot: 0, tag: 0) : probe(key) }

    /// The position of a key where there is no index; -1 if it is not there.
    @inlinable
    func scan(_ key: Key) -> Int {
        var position = 0
        while position < keys.count {
            if keys[position] == key { return position }
            position &+= 1
        }
        return -1
    }

    /// Looks a key up in the index.
    @inlinable
    func probe(_ key: Key) -> Spot {
        let tag = Self.tag(key)
        var slot = index.home(tag)
        while let used = index[slot] {
            if used.tag == tag, keys[used.position] == key {
                return Spot(used.position, slot: slot, tag: tag)
            }
            slot = index.next(slot)
        }
        return Spot(-1, slot: slot, tag: tag)
    }

    /// Adds a key that is not there, at the end. The table must not be full; `tag` is what `find` said.
    @inlinable
    mutating func append(_ key: Key, _ tag: UInt32) {
        if !index.isEmpty { index.insert(tag, at: keys.count) }
        keys.append(key)
    }

    /// Removes a key that was found. Holes at the end go: there are as many positions after it as `keys` holds.
    @inlinable @discardableResult
    mutating func remove(_ position: Int, slot: Int) -> Key {
        guard !index.isEmpty else { return keys.remove(at: position) }
        let key = keys[position]
        index.free(slot)
        index.makeHole(position)
        while let last = keys.indices.last, index.isHole(last) {
            index.dropHole(last)
            keys.removeLast()
        }
        while index.first < keys.count, index.isHole(index.first) { index.first &+= 1 }
        if keys.isEmpty { self = KeyTable() }
        return key
    }

    /// The slot of the key at a position.
    @inlinable
    func slot(of position: Int) -> Int {
        guard !index.isEmpty else { return 0 }
        var slot = index.home(Self.tag(keys[position]))
        while let used = index[slot], used.position != position { slot = index.next(slot) }
        return slot
    }

    /// Closes ranks over the holes, which `isHole` knows, and makes an index of the right size.
    @inlinable
    mutating func closeRanks(over isHole: (Int) -> Bool) {
        var tags = index.isEmpty ? [] : index.tags(keys.count)
        var kept = 0
        for position in keys.indices where !isHole(position) {
            if kept < position {
                keys[kept] = keys[position]
                if !tags.isEmpty { tags[kept] = tags[position] }
            }
            kept &+= 1
        }
        keys.removeLast(keys.count - kept)
        // Memory that most keys have left goes.
        if keys.capacity / 8 > kept { keys = keys.map { $0 } }
        index = PositionIndex()
        // Not just below the limit, at which one key more would bring the index back.
        guard kept > Self.unhashed / 2, kept >= Self.unhashed || !tags.isEmpty else { return }
        index = PositionIndex(count: kept)
        for position in keys.indices {
            index.insert(tags.isEmpty ? Self.tag(keys[position]) : tags[position], at: position)
        }
    }

    /// The same where the index knows the holes.
    @inlinable
    mutating func closeRanks() {
        let index = index
        closeRanks { !index.isEmpty && index.isHole($0) }
    }
}

extension KeyTable: Sendable where Key: Sendable {}
extension KeyTable.Spot: Sendable where Key: Sendable {}
