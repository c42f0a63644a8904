/// Doubly linked lists over the slots of a table, each of which is in at most one list. Appending and removing take
/// constant time; removing allocates nothing.
struct SlotLists {
    /// No slot.
    static let none: Int32 = -1

    private struct Links {
        var previous = SlotLists.none
        var next = SlotLists.none
    }

    private var links: [Links] = []
    private var ends: [Links]

    /// Creates `count` empty lists.
    init(count: Int) {
        ends = Array(repeating: Links(), count: count)
    }

    /// Returns the first slot; `none` for an empty list.
    func first(in list: Int) -> Int32 { ends[list].next }

    /// Returns the last slot; `none` for an empty list.
    func last(in list: Int) -> Int32 { ends[list].previous }

    /// Returns the slot after this one; `none` at the end.
    func next(after slot: Int32) -> Int32 { links[Int(slot)].next }

    /// Returns a list's slots in order. Stops rather than walk in a circle.
    func slots(in list: Int) -> [Int32] {
        var slots: [Int32] = []
        var slot = first(in: list)
        while slot != Self.none, slots.count < links.count {
            slots.append(slot)
            slot = next(after: slot)
        }
        return slots
    }

    /// Appends a slot that is in no list.
    mutating func append(_ slot: Int32, to list: Int) {
        while links.count <= Int(slot) { links.append(Links()) }
        let last = ends[list].previous
        links[Int(slot)] = Links(previous: last, next: Self.none)
        if last == Self.none { ends[list].next = slot } else { links[Int(last)].next = slot }
        ends[list].previous = slot
    }

    /// Removes a slot from its list.
    mutating func remove(_ slot: Int32, from list: Int) {
        let link = links[Int(slot)]
        if link.previous == Self.none {
            ends[list].next = link.next
        } else {
            links[Int(link.previous)].next = link.next
        }
        if link.next == Self.none {
            ends[list].previous = link.previous
        } else {
            links[Int(link.next)].previous = link.previous
        }
        links[Int(slot)] = Links()
    }
}
