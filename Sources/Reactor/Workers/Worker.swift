import Metrics
import Synchronization

/// Runs blocking or long jobs, one after another in the order submitted, for tasks that await their results: on a
/// thread of its own, unless the driver of the loop that submits the first job makes another runner.
public final class Worker: Sendable {
    /// The name of its thread.
    public let name: String
    private let queue: WorkerQueue
    /// The runner of the jobs, chosen when the first is submitted.
    private let runner: Mutex<(any WorkerRunner)?>
    /// The number of queued jobs at which further callers are suspended.
    public var capacity: Int { queue.capacity }

    /// Creates a worker whose thread, called `name`, starts with the first job.
    public convenience init(name: String, capacity: Int) {
        self.init(name: name, capacity: capacity, runner: nil)
    }

    /// Creates a worker whose jobs `runner` runs.
    package init(name: String, capacity: Int, runner: (any WorkerRunner)?) {
        self.name = name
        queue = WorkerQueue(capacity: max(capacity, 1))
        self.runner = Mutex(runner)
    }

    deinit { stop() }

    /// The number of jobs queued but not begun.
    public var depth: Int { queue.depth }

    /// The most jobs that have been queued at once.
    public var peakDepth: Int { queue.peakDepth }

    /// How long jobs have been queued before they began.
    public var waits: Histogram { queue.waits }

    /// Runs `job` after the jobs before it and returns its result or throws its error. Suspends the caller while
    /// `capacity` jobs are queued. Throws `ReactorError.closed` after `stop`. Resumes on the caller's executor.
    public func run<T: Sendable>(_ job: @escaping @Sendable () throws -> T) async throws -> T {
        try await run(job, isLast: false)
    }

    /// Does the same with the last job: any job submitted later is refused with `.closed`.
    public func finish<T: Sendable>(_ job: @escaping @Sendable () throws -> T) async throws -> T {
        try await run(job, isLast: true)
    }

    private func run<T: Sendable>(
        _ job: @escaping @Sendable () throws -> T, isLast: Bool
    ) async throws -> T {
        let waited = await queue.takeRoom()
        // Not a checked continuation: a job whose loop has ended never runs.
        return try await withUnsafeThrowingContinuation { continuation in
            let refusal = add(waited: waited, isLast: isLast) { refusal in
                continuation.resume(with: refusal.map { .failure($0) } ?? Result(catching: job))
            }
            if let refusal { continuation.resume(throwing: refusal) }
            if isLast { stop() }
        }
    }

    private func add(waited: Bool, isLast: Bool, _ job: @escaping WorkerQueue.Job) -> ReactorError? {
        if let refusal = queue.append(job, waited: waited, isLast: isLast) { return refusal }
        let runner = runner.withLock { runner -> any WorkerRunner in
            let chosen = runner ?? EventLoop.current?.driver.makeRunner(named: name) ?? WorkerThread(name)
            runner = chosen
            return chosen
        }
        runner.jobAdded(to: queue)
        return nil
    }

    /// Accepts no more jobs. Queued jobs still run, and then the thread ends.
    public func stop() {
        queue.stop()
        runner.withLock { $0 }?.stop()
    }

    /// Accepts no more jobs, and refuses queued ones with `.closed` instead of running them.
    public func abandon() {
        queue.abandon()
        stop()
    }
}

/// Runs the jobs of a worker.
public protocol WorkerRunner: AnyObject, Sendable {
    /// Ensures that `queue.runNext()` is called once for each call of this.
    func jobAdded(to queue: WorkerQueue)
    /// Notes that the worker has stopped and adds no more jobs.
    func stop()
}
