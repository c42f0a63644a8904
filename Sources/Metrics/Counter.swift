import Synchronization

/// A metric that only grows while the process lives, as Prometheus defines a counter. Any thread may add to it.
public final class Counter: Sendable {
    private let count = Atomic<UInt64>(0)

    /// Creates a counter of 0.
    public init() {}

    /// The sum of what was added.
    public var value: UInt64 { count.load(ordering: .relaxed) }

    /// Adds to the counter, which wraps after 2^64.
    @inline(__always)
    public func add(_ amount: UInt64 = 1) { count.wrappingAdd(amount, ordering: .relaxed) }

    /// Raises the counter to a sum that is kept elsewhere. Only one thread at a time may call it, and none may call `add`.
    public func raise(to sum: UInt64) {
        if sum > value { count.store(sum, ordering: .relaxed) }
    }
}
