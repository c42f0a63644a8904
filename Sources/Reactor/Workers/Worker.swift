import Synchronization

/// Does blocking or long work, one job after another in the order asked, for tasks that wait for each: on a thread of
/// its own, unless the driver of the loop that hands in the first job brings something else to run jobs.
public final class Worker: Sendable {
    private let name: String
    private let queue: WorkerQueue
    /// What runs the jobs; chosen for the first one.
    private let runner: Mutex<(any WorkerRunner)?>
    /// Jobs that may be queued; further callers wait.
    public var capacity: Int { queue.capacity }

    /// A worker whose thread, named `name`, starts with the first job.
    public convenience init(name: String, capacity: Int) {
        self.init(name: name, capacity: capacity, runner: nil)
    }

    /// A worker whose jobs `runner` runs.
    package init(name: String, capacity: Int, runner: (any WorkerRunner)?) {
        self.name = name
        queue = WorkerQueue(capacity: max(capacity, 1))
        self.runner = Mutex(runner)
    }

    deinit { stop() }

    /// Jobs queued and not yet begun.
    public var depth: Int { queue.depth }

    /// The most jobs that have been queued at once.
    public var peakDepth: Int { queue.peakDepth }

    /// Runs `job` after those before it and returns or throws what it does. Waits for room first when `capacity` jobs
    /// are queued. Throws `ReactorError.closed` after `stop`. Resumes where the caller runs.
    public func run<T: Sendable>(_ job: @escaping @Sendable () throws -> T) async throws -> T {
        try await run(job, isLast: false)
    }

    /// Runs `job` after those before it as the last one: any job handed in later is refused with `.closed`. Otherwise
    /// like `run`.
    public func finish<T: Sendable>(_ job: @escaping @Sendable () throws -> T) async throws -> T {
        try await run(job, isLast: true)
    }

    private func run<T: Sendable>(
        _ job: @escaping @Sendable () throws -> T, isLast: Bool
    ) async throws -> T {
        await queue.takeRoom()
        // Not a checked continuation: a job whose loop has ended never runs.
        return try await withUnsafeThrowingContinuation { continuation in
            let refusal = add(isLast: isLast) { refusal in
                continuation.resume(with: refusal.map { .failure($0) } ?? Result(catching: job))
            }
            if let refusal { continuation.resume(throwing: refusal) }
            if isLast { stop() }
        }
    }

    private func add(isLast: Bool, _ job: @escaping WorkerQueue.Job) -> ReactorError? {
        if let refusal = queue.append(job, isLast: isLast) { return refusal }
        let runner = runner.withLock { runner -> any WorkerRunner in
            let chosen = runner ?? EventLoop.current?.driver.makeRunner(named: name) ?? WorkerThread(name)
            runner = chosen
            return chosen
        }
        runner.jobAdded(to: queue)
        return nil
    }

    /// Accepts no more jobs. Those queued still run, and then the thread ends.
    public func stop() {
        queue.stop()
        runner.withLock { $0 }?.stop()
    }

    /// Accepts no more jobs, and refuses those that have not begun with `.closed` instead of running them.
    public func abandon() {
        queue.abandon()
        stop()
    }
}

/// What runs the jobs of a worker.
public protocol WorkerRunner: AnyObject, Sendable {
    /// Sees to it that `queue.runNext()` is called, once more than it was asked before.
    func jobAdded(to queue: WorkerQueue)
    /// The worker has stopped: no job will be added.
    func stop()
}
