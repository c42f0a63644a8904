import Chain
import Crypto
import Multiformats

/// A peer's way through the ready transactions, in the order in which they became ready. It takes as much memory as one
/// position, however many there are.
extension TransactionPool {
    struct Walk {
        /// The slot of the next ready transaction; `SlotLists.none` at the end.
        var next: Int32
        /// Transactions that became ready later are not part of it: they are announced as new ones.
        let end: UInt64
    }

    /// Begins a walk at the first ready transaction, and ends the peer's previous one.
    mutating func beginWalk(of peer: PeerID) {
        walks[peer] = Walk(next: order.first(in: Self.readyList), end: readiness)
    }

    /// Ends the peer's walk, if there is one.
    mutating func endWalk(of peer: PeerID) { walks[peer] = nil }

    /// Returns the next transactions of the peer's walk, at most `most`, and whether it has ended.
    mutating func walk(_ peer: PeerID, most: Int) -> (ids: [Hash], isLast: Bool) {
        guard var walk = walks[peer] else { return ([], true) }
        var ids: [Hash] = []
        while ids.count < most, walk.next != SlotLists.none, let entry = entries[Int(walk.next)],
            entry.readiness <= walk.end
        {
            ids.append(entry.transaction.id)
            walk.next = order.next(after: walk.next)
        }
        let isLast = ids.count < most
        walks[peer] = isLast ? nil : walk
        return (ids, isLast)
    }

    /// Moves walks on from a transaction that stops being ready. Call it while that is still in the list.
    mutating func passWalks(over slot: Int32) {
        guard !walks.isEmpty else { return }
        for (peer, walk) in walks where walk.next == slot {
            walks[peer]?.next = order.next(after: slot)
        }
    }
}
