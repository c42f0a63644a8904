import Collections
import Synchronization

/// A thread that does blocking or long work, one job after another in the order asked, for tasks that wait for each.
/// On a virtual loop the jobs run on the loop itself, so that a simulation repeats.
public final class Worker: Sendable {
    private typealias Job = @Sendable () -> Void

    private struct State {
        var jobs = Deque<Job>()
        /// Jobs that wait on a virtual loop.
        var virtualJobs = 0
        /// The most jobs that have been queued at once.
        var peak = 0
        /// Callers that wait for room, in order.
        var waiting = Deque<UnsafeContinuation<Void, Never>>()
        /// Room promised to callers that have been woken and are on their way.
        var promised = 0
        var isStopped = false
        var isStarted = false
        /// Jobs that wait on a virtual loop are dropped.
        var isAbandoned = false
        /// When a virtual loop's worker has done what it was asked to so far.
        var freeAt = Duration.zero

        var depth: Int { jobs.count &+ virtualJobs }

        /// The caller that may hand in a job now that another has begun.
        mutating func wakeNext() -> UnsafeContinuation<Void, Never>? {
            guard let next = waiting.popFirst() else { return nil }
            promised &+= 1
            return next
        }
    }

    private final class Shared: Sendable {
        let state = Mutex(State())
        let available = Semaphore()
    }

    private let shared = Shared()
    private let name: String
    private let delay: (@Sendable () -> Duration)?
    /// Jobs that may be queued; callers beyond wait.
    public let capacity: Int

    /// A worker whose thread, named `name`, starts with the first job. `delay` is asked, on virtual loops only, how
    /// long the next job takes.
    public init(name: String, capacity: Int, delay: (@Sendable () -> Duration)? = nil) {
        self.name = name
        self.delay = delay
        self.capacity = max(capacity, 1)
    }

    deinit { stop() }

    /// Jobs queued and not yet begun.
    public var depth: Int { shared.state.withLock { $0.depth } }

    /// The most jobs that have been queued at once.
    public var peakDepth: Int { shared.state.withLock { $0.peak } }

    /// Runs `job` after those before it and returns or throws what it does. Waits for room first when `capacity` jobs
    /// are queued. Throws `ReactorError.closed` after `stop`. Resumes where the caller runs.
    public func run<T: Sendable>(_ job: @escaping @Sendable () throws -> T) async throws -> T {
        try await run(job, isLast: false)
    }

    /// Runs `job` after those before it as the last one: whoever hands in another later gets `.closed`. Otherwise as `run`.
    public func finish<T: Sendable>(_ job: @escaping @Sendable () throws -> T) async throws -> T {
        try await run(job, isLast: true)
    }

    private func run<T: Sendable>(
        _ job: @escaping @Sendable () throws -> T, isLast: Bool
    ) async throws -> T {
        if let loop = EventLoop.current, loop.driver.isVirtual {
            return try await run(job, isLast: isLast, on: loop)
        }
        await takeRoom()
        return try await withUnsafeThrowingContinuation { continuation in
            let error = add(isLast: isLast) { continuation.resume(with: Result(catching: job)) }
            if let error { continuation.resume(throwing: error) }
            if isLast { stop() }
        }
    }

    /// Ends the thread when the job that runs is done. Jobs not begun still run, on that thread, first.
    public func stop() {
        let waiting = shared.state.withLock { state in
            state.isStopped = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
        shared.available.signal()
    }

    private func run<T: Sendable>(
        _ job: @escaping @Sendable () throws -> T, isLast: Bool, on loop: EventLoop
    ) async throws -> T {
        await takeRoom()
        let isRefused = shared.state.withLock { state in
            state.promised = max(state.promised &- 1, 0)
            if state.isStopped { return true }
            state.virtualJobs &+= 1
            state.peak = max(state.peak, state.depth)
            return false
        }
        if isRefused { throw ReactorError.closed }
        // Not a checked one: what waits when a virtual loop ends is forgotten with it.
        return try await withUnsafeThrowingContinuation { continuation in
            loop.call { [shared, delay] in
                let now = loop.driver.now
                let due = shared.state.withLock { state in
                    state.freeAt = max(now, state.freeAt) + (delay?() ?? .zero)
                    return state.freeAt
                }
                let run: @ReactorActor @Sendable () -> Void = {
                    let (isAbandoned, next) = shared.state.withLock { state in
                        state.virtualJobs &-= 1
                        return (state.isAbandoned, state.wakeNext())
                    }
                    next?.resume()
                    if isAbandoned {
                        continuation.resume(throwing: ReactorError.closed)
                    } else {
                        continuation.resume(with: Result(catching: job))
                    }
                }
                if due == now { run() } else { _ = loop.timers.add(due, run) }
            }
            if isLast { stop() }
        }
    }

    /// Ends a virtual loop's worker at once: jobs not done yet never run, and whoever waits for them gets `.closed`.
    public func abandon() {
        shared.state.withLock { $0.isAbandoned = true }
        stop()
    }

    private func takeRoom(_ state: inout State) -> Bool {
        if state.isStopped { return true }
        guard state.depth &+ state.promised < capacity, state.waiting.isEmpty else { return false }
        state.promised &+= 1
        return true
    }

    private func takeRoom() async {
        if shared.state.withLock({ takeRoom(&$0) }) { return }
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            let hasRoom = shared.state.withLock { state in
                if takeRoom(&state) { return true }
                state.waiting.append(continuation)
                return false
            }
            if hasRoom { continuation.resume() }
        }
    }

    private func add(isLast: Bool, _ job: @escaping Job) -> ReactorError? {
        let (refusal, mustStart) = shared.state.withLock { state -> (ReactorError?, Bool) in
            state.promised = max(state.promised &- 1, 0)
            if state.isStopped { return (.closed, false) }
            state.jobs.append(job)
            state.peak = max(state.peak, state.depth)
            state.isStopped = isLast
            defer { state.isStarted = true }
            return (nil, !state.isStarted)
        }
        if let refusal { return refusal }
        if mustStart {
            let shared = shared
            do throws(ReactorError) {
                try LoopThread.start(name) { Worker.work(shared) }
            } catch {
                // No thread to be had now: what is queued is done here, late, rather than lost.
                shared.state.withLock { $0.isStarted = false }
                while let job = shared.state.withLock({ $0.jobs.popFirst() }) { job() }
                return nil
            }
        }
        shared.available.signal()
        return nil
    }

    private static func work(_ shared: Shared) {
        while true {
            shared.available.wait()
            let (job, next, isDone) = shared.state.withLock {
                state -> (Job?, UnsafeContinuation<Void, Never>?, Bool) in
                guard let job = state.jobs.popFirst() else { return (nil, nil, state.isStopped) }
                return (job, state.wakeNext(), false)
            }
            next?.resume()
            if isDone { return }
            job?()
        }
    }
}
