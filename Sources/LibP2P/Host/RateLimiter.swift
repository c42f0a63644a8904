import Collections

/// Allows each key a burst of events, and then one event per interval. A machine: time comes from outside.
public struct RateLimiter<Key: Hashable & Sendable>: Sendable {
    /// The most keys remembered. Beyond that, idle ones are forgotten, and those with the fewest events.
    static var capacity: Int { 4_096 }

    private let burst: Int
    private var events: FadingCounts<Key>

    /// Creates a limiter of `burst` events at once and one more after each `interval`.
    public init(burst: Int, interval: Duration) {
        self.burst = burst
        events = FadingCounts(forgiven: interval, capacity: Self.capacity)
    }

    /// Counts one more event and returns true, if it is allowed.
    public mutating func allows(_ key: Key, now: Duration) -> Bool {
        guard events.count(of: key, now: now) < burst else { return false }
        events.add(1, to: key, now: now)
        return true
    }
}
