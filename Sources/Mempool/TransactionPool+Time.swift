import Chain
import Crypto

/// Announcing transactions again, and dropping them when they have expired.
extension TransactionPool {
    /// Drops up to `limit` expired transactions, the oldest first.
    mutating func expire(now: Duration, limit: Int = 1000) {
        for _ in 0..<limit {
            guard let expiry = nextExpiry, expiry <= now else { return }
            lose(arrivals.first(in: 0), .expired)
        }
    }

    /// Returns up to `limit` transactions to announce again now, the most overdue first; the others stay due. Doubles
    /// the interval of each.
    mutating func due(now: Duration, limit: Int = 1000) -> [Hash] {
        var due: [Hash] = []
        while due.count < limit, let (level, slot, time) = nextAnnouncement, time <= now {
            let next = min(level + 1, intervals.count - 1)
            announcements.remove(slot, from: level)
            announcements.append(slot, to: next)
            entries[Int(slot)]?.announcementLevel = next
            entries[Int(slot)]?.nextAnnouncement = now + intervals[next]
            if let entry = entries[Int(slot)] { due.append(entry.transaction.id) }
        }
        return due
    }

    /// When `expire` next has something to do; nil when the pool is empty.
    var nextExpiry: Duration? {
        let oldest = arrivals.first(in: 0)
        guard oldest != SlotLists.none, let entry = entries[Int(oldest)] else { return nil }
        return entry.arrived + limits.lifetime
    }

    /// When `due` or `expire` next has something to do; nil when the pool is empty.
    var nextDeadline: Duration? {
        nextExpiry.map { expiry in nextAnnouncement.map { min($0.time, expiry) } ?? expiry }
    }

    private var nextAnnouncement: (level: Int, slot: Int32, time: Duration)? {
        var best: (level: Int, slot: Int32, time: Duration)?
        for level in intervals.indices {
            let slot = announcements.first(in: level)
            guard slot != SlotLists.none, let entry = entries[Int(slot)] else { continue }
            if best.map({ entry.nextAnnouncement < $0.time }) ?? true {
                best = (level, slot, entry.nextAnnouncement)
            }
        }
        return best
    }
}
