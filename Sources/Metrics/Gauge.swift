import Synchronization

/// A metric that rises and falls, as Prometheus defines a gauge. Any thread may set it or add to it.
public final class Gauge: Sendable {
    private let level = Atomic<Int64>(0)

    /// Creates a gauge at 0.
    public init() {}

    /// The current level.
    public var value: Int64 { level.load(ordering: .relaxed) }

    /// Sets the level.
    @inline(__always)
    public func set(_ value: Int64) { level.store(value, ordering: .relaxed) }

    /// Adds to the level, or takes from it if `amount` is negative. The level wraps at 64 bits.
    @inline(__always)
    public func add(_ amount: Int64) { level.wrappingAdd(amount, ordering: .relaxed) }
}
