import Bytes
import Glibc

/// The time that a running query has left. Cheap to ask: the processor time, whose clock needs a system call, is read only
/// when it can have run out.
struct QueryClock {
    private let end: ContinuousClock.Instant
    /// On the clock of the thread's processor time; nil for no limit.
    private let processorEnd: Duration?
    /// Nothing can have run out before.
    private var next: ContinuousClock.Instant

    /// Starts the clock on the thread that runs the query.
    init(_ limits: QueryLimits) {
        let now = ContinuousClock.now
        end = now + limits.time
        processorEnd = limits.processorTime.map { .now(CLOCK_THREAD_CPUTIME_ID) + $0 }
        next = limits.processorTime.map { min(now + $0, now + limits.time) } ?? end
    }

    /// Whether the time has run out.
    var isOver: Bool {
        mutating get {
            let now = ContinuousClock.now
            guard now >= next else { return false }
            guard now < end, let processorEnd else { return true }
            let left = processorEnd - .now(CLOCK_THREAD_CPUTIME_ID)
            guard left > .zero else { return true }
            next = min(now + left, end)
            return false
        }
    }
}
