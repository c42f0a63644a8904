/// The keys of an ordered collection, in insertion order and found by hash.
///
/// Removing a key leaves a hole and moves no other key, so it takes constant time; once most positions are
/// holes, the table is compacted. The first and last positions are never holes. A small table has no index:
/// it hashes no keys, finds them by scanning and has no holes.
@usableFromInline
struct KeyTable<Key: Hashable> {
    /// The maximum number of keys in a table without an index.
    @usableFromInline static var unhashed: Int { 15 }

    /// Where a key is, or would be inserted.
    @usableFromInline
    struct Spot {
        /// The key's position, or -1 if it is absent.
        @usableFromInline let position: Int
        /// The key's slot and tag in the index, if there is one.
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

    /// The keys by position. A hole keeps its old key until the table is compacted.
    @usableFromInline var keys: [Key] = []
    @usableFromInline var index = PositionIndex()

    @inlinable
    init() {}

    @inlinable var count: Int { index.isEmpty ? keys.count : keys.count &- index.holes }
    /// The first position that holds a key, if any.
    @inlinable var first: Int { index.isEmpty ? 0 : index.first }
    @inlinable var hasHoles: Bool { !index.isEmpty && index.holes > 0 }
    /// Whether the table must be compacted before the next key is added.
    @inlinable var isFull: Bool { index.isEmpty ? keys.count >= Self.unhashed : keys.count >= index.capacity }
    /// Whether there are more holes than keys.
    @inlinable var isSparse: Bool { hasHoles && index.holes > count }

    @inlinable
    static func tag(_ key: Key) -> UInt32 { UInt32(truncatingIfNeeded: key.hashValue) }

    /// Reserves room for `count` keys in an empty table.
    @inlinable
    mutating func reserve(_ count: Int) {
        keys.reserveCapacity(count)
        if count > Self.unhashed { index = PositionIndex(count: count) }
    }

    /// Finds a key.
    @inlinable @inline(__always)
    func find(_ key: Key) -> Spot { index.isEmpty ? Spot(scan(key), slot: 0, tag: 0) : probe(key) }

    /// Returns the position of a key in a table without an index, or -1 if it is absent.
    @inlinable
    func scan(_ key: Key) -> Int {
        var position = 0
        while position < keys.count {
            if keys[position] == key { return position }
            position &+= 1
        }
        return -1
    }

    /// Finds a key through the index.
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

    /// Appends an absent key. The table must not be full; `tag` comes from `find`.
    @inlinable
    mutating func append(_ key: Key, _ tag: UInt32) {
        if !index.isEmpty { index.insert(tag, at: keys.count) }
        keys.append(key)
    }

    /// Removes a key that was found, and any holes at the end, so `keys` may shrink by more than one.
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

    /// Returns the slot of the key at a position.
    @inlinable
    func slot(of position: Int) -> Int {
        guard !index.isEmpty else { return 0 }
        var slot = index.home(Self.tag(keys[position]))
        while let used = index[slot], used.position != position { slot = index.next(slot) }
        return slot
    }

    /// Removes the holes reported by `isHole`, and rebuilds the index at the right size.
    @inlinable
    mutating func compact(over isHole: (Int) -> Bool) {
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
        // Free memory that is mostly unused.
        if keys.capacity / 8 > kept { keys = keys.map { $0 } }
        index = PositionIndex()
        // Keep the index just below the limit, where one more key would bring it back.
        guard kept > Self.unhashed / 2, kept >= Self.unhashed || !tags.isEmpty else { return }
        index = PositionIndex(count: kept)
        for position in keys.indices {
            index.insert(tags.isEmpty ? Self.tag(keys[position]) : tags[position], at: position)
        }
    }

    /// Removes the holes recorded in the index.
    @inlinable
    mutating func compact() {
        let index = index
        compact { !index.isEmpty && index.isHole($0) }
    }
}

extension KeyTable: Sendable where Key: Sendable {}
extension KeyTable.Spot: Sendable where Key: Sendable {}
