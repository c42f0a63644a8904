/// Counts recent events by key: every count decreases by one at a steady rate.
///
/// Penalties and failures of peers are counted this way. A machine: the caller supplies the time. It stores
/// one instant per key and drops keys whose count is zero when it needs the room.
public struct FadingCounts<Key: Hashable> {
    /// The time in which a count decreases by one.
    private let forgiven: Duration
    private let capacity: Int
    /// The time at which each count reaches zero.
    private var ends: OrderedDictionary<Key, Duration> = [:]

    /// - Parameters:
    ///   - forgiven: the time in which a count decreases by one; must be positive.
    ///   - capacity: the maximum number of keys. Beyond it, those with the lowest counts are dropped, an eighth at
    ///     once.
    public init(forgiven: Duration, capacity: Int) {
        self.forgiven = max(forgiven, .nanoseconds(1))
        self.capacity = max(capacity, 1)
    }

    /// Adds to a key's count and returns the new count.
    @discardableResult
    public mutating func add(_ points: Int, to key: Key, now: Duration) -> Int {
        if ends[key] == nil { ends.makeRoom(in: capacity, now: now) { $0 } }
        ends[key] = max(ends[key] ?? now, now) + forgiven * points
        return count(of: key, now: now)
    }

    /// Returns a key's count, rounded up.
    public func count(of key: Key, now: Duration) -> Int {
        guard let end = ends[key], end > now else { return 0 }
        return Int(((end - now) / forgiven).rounded(.up))
    }

    /// Resets a key's count to zero.
    public mutating func forget(_ key: Key) { ends[key] = nil }
}

extension FadingCounts: Sendable where Key: Sendable {}

extension OrderedDictionary {
    /// Makes room for one more key in a table of at most `capacity` entries. If it is full, removes the entries that have
    /// ended by `now`, and those that end first until an eighth is free: ever new keys cost a search of the table only
    /// now and then.
    public mutating func makeRoom(in capacity: Int, now: Duration, end: (Value) -> Duration) {
        guard count >= capacity else { return }
        removeAll { end($0.value) <= now }
        var surplus = count - (capacity - Swift.max(1, capacity / 8))
        guard surplus > 0 else { return }
        let last = values.map(end).sorted()[surplus - 1]
        removeAll { entry in
            guard surplus > 0, end(entry.value) <= last else { return false }
            surplus -= 1
            return true
        }
    }
}
