/// The open objects of a kernel driver, by small numbers that fit an event's user data. A reused number gets a new
/// generation, so that a late event for its former entry is recognised as stale.
@ReactorActor
struct SlotTable<Entry> {
    private var entries: [Entry?] = []
    private var generations: [UInt32] = []
    private var free: [Int] = []

    nonisolated init() {}

    /// The slots in use.
    var slots: [Int] { entries.indices.filter { entries[$0] != nil } }

    /// The entry in a slot that `add` or `slot(tag:)` has returned.
    subscript(slot: Int) -> Entry? {
        @inline(__always) get { entries[slot] }
        // Without inlining, each change allocates the accessor's frame.
        @inline(__always) _modify { yield &entries[slot] }
    }

    mutating func add(_ entry: Entry) -> Int {
        if let slot = free.popLast() {
            entries[slot] = entry
            return slot
        }
        entries.append(entry)
        generations.append(0)
        return entries.count &- 1
    }

    @discardableResult
    mutating func remove(_ slot: Int) -> Entry? {
        guard let entry = entries[slot] else { return nil }
        entries[slot] = nil
        generations[slot] &+= 1
        free.append(slot)
        return entry
    }

    /// The slot and its generation in 56 bits.
    func tag(_ slot: Int) -> UInt64 {
        UInt64(generations[slot] & 0xFF_FFFF) << 32 | UInt64(UInt32(truncatingIfNeeded: slot))
    }

    /// The slot that `tag` was made for, if its entry is still there. Bits above the lowest 56 are ignored.
    func slot(tag: UInt64) -> Int? {
        let slot = Int(UInt32(truncatingIfNeeded: tag))
        guard entries.indices.contains(slot), entries[slot] != nil,
            UInt64(generations[slot] & 0xFF_FFFF) == (tag >> 32) & 0xFF_FFFF
        else { return nil }
        return slot
    }
}
