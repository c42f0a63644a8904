/// How long a peer or an address that failed is left alone: longer with every failure, with jitter, so that many
/// hosts that lost the same peer do not come back at the same moment.
///
/// A machine: time and random numbers come from outside.
struct DialBackoff<Key: Hashable> {
    /// The wait after the first failure.
    static var shortest: Duration { .milliseconds(500) }
    /// The longest wait.
    static var longest: Duration { .seconds(60) }
    /// Entries kept. Beyond, those whose wait has passed are dropped, and if that is not enough all.
    static var capacity: Int { 4096 }

    private struct Entry {
        var failures: Int
        var until: Duration
    }

    private var entries: [Key: Entry] = [:]

    /// Whether the wait has passed, or there is none.
    func mayDial(_ key: Key, now: Duration) -> Bool {
        guard let entry = entries[key] else { return true }
        return now >= entry.until
    }

    /// Notes a failure. The wait is between half and all of the doubled last one, by `random`.
    mutating func failed(_ key: Key, now: Duration, random: UInt64) {
        if entries.count >= Self.capacity, entries[key] == nil {
            entries = entries.filter { $0.value.until > now }
            if entries.count >= Self.capacity { entries = [:] }
        }
        let failures = min((entries[key]?.failures ?? 0) + 1, 16)
        let full = min(Self.shortest * (1 << (failures - 1)), Self.longest)
        let wait = full / 2 + full / 2 * Int(random % 1024) / 1024
        entries[key] = Entry(failures: failures, until: now + wait)
    }

    /// Forgets the failures of what has been reached.
    mutating func succeeded(_ key: Key) {
        entries[key] = nil
    }
}
