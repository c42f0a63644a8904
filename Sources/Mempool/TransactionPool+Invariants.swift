import Chain
import Reactor

/// The pool's invariants between calls.
extension TransactionPool {
    /// Throws if counts, bytes, the order of nonces or lists are inconsistent.
    func checkInvariants() throws(BrokenInvariant) {
        let used = entries.indices.filter { entries[$0] != nil }.map { Int32($0) }
        try BrokenInvariant.check(
            used.count == slots.count && free.count == entries.count - used.count,
            "\(slots.count) IDs and \(free.count) free slots for \(used.count) of \(entries.count) entries")
        try checkTotals(used)
        for slot in used { try check(slot) }
        try checkSenders()
        try checkLists(used)
        try checkWalks()
    }

    private func checkTotals(_ used: [Int32]) throws(BrokenInvariant) {
        let all = used.compactMap { entries[Int($0)] }
        let gapped = all.filter { !$0.isReady }
        func size(_ entries: [Entry]) -> Int { entries.reduce(0) { $0 + $1.transaction.bytes.count } }
        try BrokenInvariant.check(size(all) == bytes, "\(size(all)) bytes are counted as \(bytes)")
        try BrokenInvariant.check(
            size(gapped) == gappedBytes, "\(size(gapped)) gapped bytes are counted as \(gappedBytes)")
        try BrokenInvariant.check(
            gapped.count == gappedCount, "\(gapped.count) gapped ones are counted as \(gappedCount)")
        try BrokenInvariant.check(
            count <= limits.count && bytes <= limits.bytes, "\(count) transactions of \(bytes) bytes")
    }

    /// Checks that an entry is found by its ID and its place, and is ready exactly if its nonce follows the account's
    /// without a gap.
    private func check(_ slot: Int32) throws(BrokenInvariant) {
        guard let entry = entries[Int(slot)], let sender = senders[entry.account] else {
            throw BrokenInvariant("the transaction in slot \(slot) has no sender")
        }
        let nonce = entry.transaction.body.nonce
        try BrokenInvariant.check(
            slots[entry.transaction.id] == slot && places[Place(sender: sender.number, nonce: nonce)] == slot,
            "the transaction in slot \(slot) is not found there")
        try BrokenInvariant.check(
            nonce <= sender.highest && entry.isReady == (sender.nonce < nonce && nonce <= sender.next &- 1),
            "nonce \(nonce) is\(entry.isReady ? "" : " not") ready, the sender's next is \(sender.next)")
    }

    private func checkSenders() throws(BrokenInvariant) {
        try BrokenInvariant.check(
            places.count == slots.count && senders.values.reduce(0) { $0 + $1.count } == slots.count,
            "\(places.count) places and \(senders.count) senders for \(slots.count) transactions")
        for sender in senders.values {
            try BrokenInvariant.check(
                (1...limits.perSender).contains(sender.count), "a sender has \(sender.count) transactions")
            try BrokenInvariant.check(
                places[Place(sender: sender.number, nonce: sender.next)] == nil,
                "nonce \(sender.next) is here and counts as missing")
        }
        let large = senders.filter { holding(count: $0.value.count, bytes: $0.value.bytes) > Self.share }
        try BrokenInvariant.check(
            senders.values.reduce(0) { $0 + $1.bytes } == bytes && Set(large.keys) == Set(self.large),
            "\(large.count) senders hold more than their share, \(self.large.count) are known")
    }

    private func checkLists(_ used: [Int32]) throws(BrokenInvariant) {
        for (list, isReady) in [(Self.readyList, true), (Self.gappedList, false)] {
            try BrokenInvariant.check(
                order.slots(in: list).sorted() == used.filter { entries[Int($0)]?.isReady == isReady },
                "the list of \(isReady ? "ready" : "gapped") transactions is not theirs")
        }
        let arrived = arrivals.slots(in: 0)
        try BrokenInvariant.check(arrived.sorted() == used, "the list of arrivals is not of all transactions")
        try checkOrder(arrived.compactMap { entries[Int($0)]?.arrived }, "arrivals")
        for level in intervals.indices {
            let slots = announcements.slots(in: level)
            try BrokenInvariant.check(
                slots.sorted() == used.filter { entries[Int($0)]?.announcementLevel == level },
                "the list of announcements at level \(level) is not theirs")
            try checkOrder(slots.compactMap { entries[Int($0)]?.nextAnnouncement }, "announcements")
        }
        var nonces: [AccountID: UInt64] = [:]
        for entry in order.slots(in: Self.readyList).compactMap({ entries[Int($0)] }) {
            let nonce = entry.transaction.body.nonce
            try BrokenInvariant.check(
                nonces[entry.account].map { $0 < nonce } ?? true,
                "nonce \(nonce) would be proposed too late")
            nonces[entry.account] = nonce
        }
    }

    private func checkWalks() throws(BrokenInvariant) {
        for walk in walks.values where walk.next != SlotLists.none {
            try BrokenInvariant.check(
                entries[Int(walk.next)]?.isReady == true, "a walk stands at a transaction that is not ready")
        }
    }

    private func checkOrder(_ times: [Duration], _ what: String) throws(BrokenInvariant) {
        try BrokenInvariant.check(
            zip(times, times.dropFirst()).allSatisfy { $0 <= $1 },
            "\(what) are not in the order of their times")
    }
}
