/// Maps the hashes of keys to their positions in an array, and records which positions are holes: a hash
/// table with open addressing and linear probing, stored in one array of words.
///
/// It holds no keys: the caller compares the keys at the positions whose hash matches. An empty index holds
/// no memory and supports no queries.
///
/// The words hold: the first position in use and the number of holes; the number of slots less one; the
/// slots; one bit per position, set for a hole. A slot is 0, or a key's tag (32 bits of its hash) in the
/// upper half and its position plus 1 in the lower half. Positions stay below 2³²: that many keys would need
/// 48 GB for the table alone.
@usableFromInline
struct PositionIndex: Sendable {
    @usableFromInline static var header: Int { 2 }

    @usableFromInline var words: [UInt64] = []

    /// Creates an empty index.
    @inlinable
    init() {}

    /// Creates an index with room for twice `count` positions, so that it lasts as long as it took to fill.
    @inlinable
    init(count: Int) {
        // At most three quarters of the slots are used, so three eighths are used now.
        let least = count / 3 &* 8 + 8
        let slots = 1 << (Int.bitWidth - (least - 1).leadingZeroBitCount)
        words = [UInt64](repeating: 0, count: Self.header + slots + slots / 64 + 1)
        words[1] = UInt64(slots - 1)
    }

    @inlinable var isEmpty: Bool { words.isEmpty }
    @inlinable var mask: Int { Int(truncatingIfNeeded: words[1]) }
    /// The maximum number of positions.
    @inlinable var capacity: Int { (mask &+ 1) / 4 &* 3 }

    /// The first position in use.
    @inlinable
    var first: Int {
        get { Int(truncatingIfNeeded: words[0] &>> 32) }
        set { words[0] = UInt64(truncatingIfNeeded: newValue) &<< 32 | words[0] & 0xFFFF_FFFF }
    }

    /// The number of holes.
    @inlinable
    var holes: Int {
        get { Int(truncatingIfNeeded: words[0] & 0xFFFF_FFFF) }
        set { words[0] = words[0] & ~0xFFFF_FFFF | UInt64(truncatingIfNeeded: newValue) }
    }

    // MARK: Slots

    /// Returns the slot at which the search for a tag begins.
    @inlinable
    func home(_ tag: UInt32) -> Int { Int(tag) & mask }

    @inlinable
    func next(_ slot: Int) -> Int { (slot &+ 1) & mask }

    /// A slot's tag and position, or nil if the slot is free.
    @inlinable
    subscript(slot: Int) -> (tag: UInt32, position: Int)? {
        let word = words[Self.header &+ slot]
        guard word != 0 else { return nil }
        return (UInt32(truncatingIfNeeded: word &>> 32), Int(truncatingIfNeeded: word & 0xFFFF_FFFF) &- 1)
    }

    /// Records the position of a key with this tag. There must be room.
    @inlinable
    mutating func insert(_ tag: UInt32, at position: Int) {
        var slot = home(tag)
        while words[Self.header &+ slot] != 0 { slot = next(slot) }
        words[Self.header &+ slot] = UInt64(tag) &<< 32 | UInt64(truncatingIfNeeded: position &+ 1)
    }

    /// Frees a slot and moves later entries that could no longer be found.
    @inlinable
    mutating func free(_ slot: Int) {
        var free = slot
        var slot = next(slot)
        while let used = self[slot] {
            // The distances of this slot and of the free one from the tag's home.
            let home = home(used.tag)
            if (slot &- home) & mask >= (slot &- free) & mask {
                words[Self.header &+ free] = words[Self.header &+ slot]
                free = slot
            }
            slot = next(slot)
        }
        words[Self.header &+ free] = 0
    }

    /// Returns the tags of all keys by position, for `count` positions; the tags of holes are 0.
    @inlinable
    func tags(_ count: Int) -> [UInt32] {
        var tags = [UInt32](repeating: 0, count: count)
        for slot in 0...mask {
            if let (tag, position) = self[slot] { tags[position] = tag }
        }
        return tags
    }

    // MARK: Holes

    @inlinable
    func isHole(_ position: Int) -> Bool {
        words[hole(position)] &>> UInt64(truncatingIfNeeded: position) & 1 == 1
    }

    @inlinable
    mutating func makeHole(_ position: Int) {
        words[hole(position)] |= 1 &<< UInt64(truncatingIfNeeded: position)
        holes &+= 1
    }

    /// Removes a hole at the end.
    @inlinable
    mutating func dropHole(_ position: Int) {
        words[hole(position)] &= ~(1 &<< UInt64(truncatingIfNeeded: position))
        holes &-= 1
    }

    /// Returns the index of the word that holds a position's bit.
    @inlinable
    func hole(_ position: Int) -> Int { Self.header &+ mask &+ 1 &+ position &>> 6 }
}
