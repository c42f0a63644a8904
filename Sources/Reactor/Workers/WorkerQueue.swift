import Bytes
import Collections
import Glibc
import Metrics
import Synchronization

/// The queued jobs of one worker, in order, and the callers that wait for room.
public final class WorkerQueue: Sendable {
    /// A job: runs if passed nil; otherwise it is refused with the error.
    typealias Job = @Sendable (ReactorError?) -> Void

    private struct Entry {
        let job: Job
        /// When it was queued, on the monotonic clock.
        let time: Duration
    }

    private struct State {
        var jobs = Deque<Entry>()
        /// The most jobs that have been queued at once.
        var peak = 0
        /// Callers that wait for room, in order.
        var waiting = Deque<UnsafeContinuation<Bool, Never>>()
        /// Room promised to callers on their way to `append`.
        var promised = 0
        /// The callers among them that waited. A newcomer waits behind these, or it would overtake them.
        var woken = 0
        var isStopped = false
        /// Jobs that have not begun are refused.
        var isAbandoned = false

        /// Returns the waiting caller that may submit a job now that another has begun.
        mutating func wakeNext() -> UnsafeContinuation<Bool, Never>? {
            guard let next = waiting.popFirst() else { return nil }
            promised &+= 1
            woken &+= 1
            return next
        }
    }

    /// How long jobs have waited.
    let waits = Histogram()
    private let state = Mutex(State())
    let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    /// The number of jobs that have not begun.
    var depth: Int { state.withLock { $0.jobs.count } }

    var peakDepth: Int { state.withLock { $0.peak } }

    // MARK: The caller's side

    private func takeRoom(_ state: inout State) -> Bool {
        if state.isStopped { return true }
        guard state.jobs.count &+ state.promised < capacity, state.waiting.isEmpty, state.woken == 0 else {
            return false
        }
        state.promised &+= 1
        return true
    }

    /// Suspends the caller until there is room for a job or the queue is stopped. Returns true if the caller waited,
    /// which `append` needs to know.
    func takeRoom() async -> Bool {
        if state.withLock({ takeRoom(&$0) }) { return false }
        return await withUnsafeContinuation { (continuation: UnsafeContinuation<Bool, Never>) in
            let hasRoom = state.withLock { state in
                if takeRoom(&state) { return true }
                state.waiting.append(continuation)
                return false
            }
            if hasRoom { continuation.resume(returning: false) }
        }
    }

    /// Adds a job for which there is room. Returns an error if it is refused.
    func append(_ job: @escaping Job, waited: Bool, isLast: Bool) -> ReactorError? {
        let time = Duration.now(CLOCK_MONOTONIC)
        return state.withLock { state in
            state.promised = max(state.promised &- 1, 0)
            if waited { state.woken &-= 1 }
            if state.isStopped { return .closed }
            state.jobs.append(Entry(job: job, time: time))
            state.peak = max(state.peak, state.jobs.count)
            state.isStopped = isLast
            return nil
        }
    }

    func stop() {
        let waiting = state.withLock { state in
            state.isStopped = true
            state.woken &+= state.waiting.count
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume(returning: true) }
    }

    func abandon() { state.withLock { $0.isAbandoned = true } }

    // MARK: The runner's side

    /// Runs the next job, if one is queued. Returns false if the queue is empty and stopped.
    @discardableResult
    package func runNext() -> Bool {
        let (entry, next, refusal, goesOn) = state.withLock {
            state -> (Entry?, UnsafeContinuation<Bool, Never>?, ReactorError?, Bool) in
            guard let entry = state.jobs.popFirst() else { return (nil, nil, nil, !state.isStopped) }
            return (entry, state.wakeNext(), state.isAbandoned ? .closed : nil, true)
        }
        next?.resume(returning: true)
        if let entry {
            waits.record(.now(CLOCK_MONOTONIC) - entry.time)
            entry.job(refusal)
        }
        return goesOn
    }
}
