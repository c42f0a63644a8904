/// Allows each key a burst of events, and after that one more whenever an interval has passed.
///
/// A machine: time comes from outside. Needs one number for each key that has been busy lately.
public struct RateLimiter<Key: Hashable> {
    /// Keys remembered. Beyond, those at rest are dropped, and if that is not enough all: a flood from ever new keys is
    /// for other limits to stop.
    static var capacity: Int { 4_096 }

    private let burst: Int
    private let interval: Duration
    /// When each busy key will have its whole burst again.
    private var restored: [Key: Duration] = [:]

    /// Allows `burst` events at once, one more after each `interval`.
    public init(burst: Int, interval: Duration) {
        self.burst = burst
        self.interval = interval
    }

    /// Whether one more event is allowed, which then counts.
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
