import Collections
import Synchronization

/// The main thread as an executor, on which a program runs whatever belongs to no event loop or worker, one job after
/// another.
///
/// It replaces Swift's global thread pool: that of libdispatch watches its threads through /proc and ends a process that
/// cannot see itself there.
public final class MainThread: TaskExecutor {
    private let jobs = Mutex(Deque<UnownedJob>())
    private let arrived = Semaphore()

    private init() {}

    /// Runs `body`, which ends the process, and all that it calls outside of an actor on the calling thread.
    public static func run(_ body: @escaping @Sendable () async -> Never) -> Never {
        let thread = MainThread()
        Task(executorPreference: thread) { await body() }
        while true { thread.runNext() }
    }

    /// See `TaskExecutor.enqueue`.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        jobs.withLock { $0.append(job) }
        arrived.signal()
    }

    private func runNext() {
        arrived.wait()
        let job = jobs.withLock { $0.popFirst() }
        job?.runSynchronously(on: asUnownedTaskExecutor())
    }
}
