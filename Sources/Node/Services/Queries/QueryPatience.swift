import Bytes
import Execution
import Glibc

/// How long to wait for a query process before it is killed.
struct QueryPatience {
    /// How much longer a query may take than its limits, which SQLite checks where it can. The time allows for a busy machine;
    /// the processor time is short, because the process may be the only one for short queries.
    private static let grace = Duration.milliseconds(500)
    private static let processorGrace = Duration.milliseconds(10)

    private let end: ContinuousClock.Instant
    /// The clock of the process's processor time, and a time on it.
    private let processor: (clock: clockid_t, end: Duration)?

    /// Waits for a time.
    init(_ time: Duration) {
        end = .now + time
        processor = nil
    }

    /// Waits for the answer to a query that a process begins now.
    init(_ limits: QueryLimits, of process: pid_t) {
        end = .now + limits.time + Self.grace
        var clock: clockid_t = 0
        guard let time = limits.processorTime, clock_getcpuclockid(process, &clock) == 0 else {
            processor = nil
            return
        }
        processor = (clock, .now(clock) + time + Self.processorGrace)
    }

    /// The time until the next look at the clocks, in whole milliseconds for poll(2); nil if it is over.
    var milliseconds: Int32? {
        var left = end - .now
        // The processor time of one thread grows no faster than the time.
        if let processor { left = min(left, processor.end - .now(processor.clock)) }
        guard left >= .zero else { return nil }
        return Int32(clamping: left.nanoseconds / 1_000_000 + 1)
    }
}
