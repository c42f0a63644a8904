import Collections

/// The backoff of peers or addresses that failed: longer with every failure, and with jitter, so that hosts that lost
/// the same peer do not all redial it at the same moment.
///
/// A machine: time and random numbers come from outside.
struct DialBackoff<Key: Hashable> {
    /// The wait after the first failure.
    static var shortest: Duration { .milliseconds(500) }
    /// The longest wait.
    static var longest: Duration { .seconds(60) }
    /// The most entries kept. Beyond that, those whose wait has passed are dropped, and those that end first.
    static var capacity: Int { 4096 }

    private struct Entry {
        var failures: Int
        var until: Duration
    }

    private var entries: OrderedDictionary<Key, Entry> = [:]

    /// Whether the key has no wait or it has passed.
    func mayDial(_ key: Key, now: Duration) -> Bool { entries[key].map { now >= $0.until } ?? true }

    /// Notes a failure. The longest wait doubles each time; `random` chooses one between half and all of it.
    mutating func failed(_ key: Key, now: Duration, random: UInt64) {
        if entries[key] == nil { entries.makeRoom(in: Self.capacity, now: now) { $0.until } }
        let failures = min((entries[key]?.failures ?? 0) + 1, 16)
        let wait = Duration.backoff(failures, from: Self.shortest, to: Self.longest, random)
        entries[key] = Entry(failures: failures, until: now + wait)
    }

    /// Forgets the failures of a key that has been reached.
    mutating func succeeded(_ key: Key) {
        entries[key] = nil
    }
}
