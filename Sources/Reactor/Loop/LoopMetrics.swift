import Metrics

/// How long one event loop works at a time, without the time that it waits for events.
public final class LoopMetrics: Sendable {
    /// A turn that takes longer delays every peer or client of the loop noticeably.
    static let slow = Duration.milliseconds(5)

    private let turns = Histogram()
    private let slowTurns = Counter()

    init() {}

    @inline(__always)
    func record(_ turn: Duration) {
        turns.record(nanoseconds: UInt64(clamping: turn.nanoseconds))
        if turn > Self.slow { slowTurns.add() }
    }

    /// Adds the loop's metrics to a registry. `loop` names the loop.
    public func add(to registry: MetricsRegistry, loop: String) {
        registry.add(
            turns, "apus_reactor_turn_seconds",
            "Time of one turn of an event loop, without waiting; the rate of its sum is the loop's busy share.",
            ("loop", loop))
        registry.add(
            slowTurns, "apus_reactor_slow_turns_total", "Turns of an event loop that took more than 5 ms.",
            ("loop", loop))
    }
}
