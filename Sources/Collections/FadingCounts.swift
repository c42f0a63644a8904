/// Counts what happened lately, by key: every count loses one at a steady pace.
///
/// What peers did wrong, and how often they did not deliver, is counted so. A machine: time comes from outside. Holds
/// one instant for each key, and forgets a key once its count is zero and the room is needed.
public struct FadingCounts<Key: Hashable> {
    /// The time after which a count is one less.
    private let forgiven: Duration
    private let capacity: Int
    /// When each count will be zero.
    private var ends: OrderedDictionary<Key, Duration> = [:]

    /// - Parameters:
    ///   - forgiven: the time after which a count is one less; above zero.
    ///   - capacity: keys at most. Beyond, the key whose count is the lowest makes room.
    public init(forgiven: Duration, capacity: Int) {
        self.forgiven = max(forgiven, .nanoseconds(1))
        self.capacity = max(capacity, 1)
    }

    /// Adds to a key's count, and returns it.
    @discardableResult
    public mutating func add(_ points: Int, to key: Key, now: Duration) -> Int {
        if ends[key] == nil { makeRoom(now) }
        ends[key] = max(ends[key] ?? now, now) + forgiven * points
        return count(of: key, now: now)
    }

    /// A key's count, rounded up.
    public func count(of key: Key, now: Duration) -> Int {
        guard let end = ends[key], end > now else { return 0 }
        return Int(((end - now) / forgiven).rounded(.up))
    }

    /// Sets a key's count to zero.
    public mutating func forget(_ key: Key) { ends[key] = nil }

    private mutating func makeRoom(_ now: Duration) {
        guard ends.count >= capacity else { return }
        ends.removeAll { $0.value <= now }
        guard ends.count >= capacity, let lowest = ends.min(by: { $0.value < $1.value }) else { return }
        ends[lowest.key] = nil
    }
}

extension FadingCounts: Sendable where Key: Sendable {}
