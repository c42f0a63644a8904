/// The backoff of peers or addresses that failed: longer with every failure, and with jitter, so that hosts that lost
/// the same peer do not all redial it at the same moment.
///
/// A machine: time and random numbers come from outside.
struct DialBackoff<Key: Hashable> {
    /// The wait after the first failure.
    static var shortest: Duration { .milliseconds(500) }
    /// The longest wait.
    static var longest: Duration { .seconds(60) }
    /// The most entries kept. Beyond that, those whose wait has passed are dropped, or all if there are none.
    static var capacity: Int { 4096 }

    private struct Entry {
        var failures: Int
        var until: Duration
    }

    private var entries: [Key: Entry] = [:]

    /// Whether the key has no wait or it has passed.
    func mayDial(_ key: Key, now: Duration) -> Bool {
        guard let entry = entries[key] else { return true }
        return now >= entry.until
    }

    /// Notes a failure. The longest wait doubles each time; `random` chooses one between half and all of it.
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

    /// Forgets the failures of a key that has been reached.
    mutating func succeeded(_ key: Key) {
        entries[key] = nil
    }
}
