/// Doubly linked lists over the slots of a table: each slot is in at most one of them. Appending and removing
/// take constant time and allocate nothing.
struct SlotLists {
    /// No slot.
    static let none: Int32 = -1

    private struct Links {
        var previous = SlotLists.none
        var next = SlotLists.none
    }

    private var links: [Links] = []
    private var ends: [Links]

    /// This many empty lists.
    init(count: Int) {
        ends = Array(repeating: Links(), count: count)
    }

    /// The slot at the front; `none` for an empty list.
    func first(in list: Int) -> Int32 { ends[list].next }

    /// The slot at the back; `none` for an empty list.
    func last(in list: Int) -> Int32 { ends[list].previous }

    /// The slot behind this one; `none` at the back.
    func next(after slot: Int32) -> Int32 { links[Int(slot)].next }

    /// A list's slots, the front first. The walk ends where it would go in a circle.
    func slots(in list: Int) -> [Int32] {
        var slots: [Int32] = []
        var slot = first(in: list)
        while slot != Self.none, slots.count < links.count {
            slots.append(slot)
            slot = next(after: slot)
        }
        return slots
    }

    /// Puts a slot that is in no list at the back of one.
    mutating func append(_ slot: Int32, to list: Int) {
        while links.count <= Int(slot) { links.append(Links()) }
        let last = ends[list].previous
        links[Int(slot)] = Links(previous: last, next: Self.none)
        if last == Self.none { ends[list].next = slot } else { links[Int(last)].next = slot }
        ends[list].previous = slot
    }

    /// Takes a slot out of the list that it is in.
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
