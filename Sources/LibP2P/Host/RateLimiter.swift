/// Allows each key a burst of events, and then one event per interval.
///
/// A machine: time comes from outside. Remembers one number for each recently busy key.
public struct RateLimiter<Key: Hashable & Sendable>: Sendable {
    /// The most keys remembered. Beyond that, idle ones are dropped, or all if none is idle: other limits stop a flood
    /// from ever new keys.
    static var capacity: Int { 4_096 }

    private let burst: Int
    private let interval: Duration
    /// When each busy key will have its full burst again.
    private var restored: [Key: Duration] = [:]

    /// Creates a limiter of `burst` events at once and one more after each `interval`.
    public init(burst: Int, interval: Duration) {
        self.burst = burst
        self.interval = interval
    }

    /// Counts one more event and returns true, if it is allowed.
    public mutating func allows(_ key: Key, now: Duration) -> Bool {
        let until = max(restored[key] ?? now, now) + interval
        guard until - now <= interval * burst else { return false }
        if restored.count >= Self.capacity, restored[key] == nil {
            restored = restored.filter { $0.value > now }
            if restored.count >= Self.capacity { restored = [:] }
        }
        restored[key] = until
        return true
    }
}
