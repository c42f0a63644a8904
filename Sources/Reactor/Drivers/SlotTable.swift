/// What a kernel driver holds open, by small numbers that fit an event's user data. A number that comes back has another
/// generation, so that an event which was under way for the one before it is known to be stale.
@ReactorActor
struct SlotTable {
    enum Entry {
        case free(next: Int)
        case listener(TCPListener)
        case attempt(ConnectAttempt)
        case connection(TCPConnection)
    }

    private var entries: [Entry] = []
    private var generations: [UInt32] = []
    private var firstFree = -1

    nonisolated init() {}

    subscript(slot: Int) -> Entry { entries[slot] }
    var indices: Range<Int> { entries.indices }

    mutating func add(_ entry: Entry) -> Int {
        if firstFree >= 0, case .free(let next) = entries[firstFree] {
            let slot = firstFree
            firstFree = next
            entries[slot] = entry
            return slot
        }
        entries.append(entry)
        generations.append(0)
        return entries.count &- 1
    }

    mutating func remove(_ slot: Int) {
        guard entries.indices.contains(slot) else { return }
        if case .free = entries[slot] { return }
        entries[slot] = .free(next: firstFree)
        generations[slot] &+= 1
        firstFree = slot
    }

    /// The slot and its generation in 56 bits.
    func tag(_ slot: Int) -> UInt64 {
        UInt64(generations[slot] & 0xFF_FFFF) << 32 | UInt64(UInt32(truncatingIfNeeded: slot))
    }

    /// The entry that `tag` was made for, if it is still there.
    func entry(tag: UInt64) -> (slot: Int, entry: Entry)? {
        let slot = Int(UInt32(truncatingIfNeeded: tag))
        guard entries.indices.contains(slot),
            UInt64(generations[slot] & 0xFF_FFFF) == (tag >> 32) & 0xFF_FFFF
        else { return nil }
        return (slot, entries[slot])
    }
}
