import CShims
import Metrics
import Synchronization

/// Runs long jobs for tasks that await their results: on a thread of its own, or on a pool of threads, unless the driver of
/// the loop that submits the first job makes another runner. Thread-safe.
///
/// Jobs of one priority begin in the order submitted, and those of high priority before the others; each priority has its
/// own queue. A job may be cut in pieces, which run on several threads of a pool at once.
public final class Worker: Sendable {
    /// The threads of a worker.
    public enum Kind: Sendable, Hashable {
        /// One thread, whose jobs run one after another and may block: wait for a disk, a lock or a process.
        case thread
        /// So many threads for jobs that only compute, and one more for those of high priority that would have to wait. In debug
        /// builds the program stops if one reads the block log or the database.
        case pool(threads: Int)

        /// The number of threads for all jobs, at least 1.
        public var threads: Int { if case .pool(let threads) = self { max(threads, 1) } else { 1 } }
    }

    /// Whether what runs on the calling thread now may block. A thread that serves sockets may not, nor a job of a pool.
    package static var mayBlock: Bool { apus_may_block() }

    /// The name of its thread; those of a pool have numbers, too.
    public let name: String
    /// What runs its jobs.
    public let kind: Kind
    private let queue: WorkerQueue
    /// The runner of the jobs, chosen when the first is submitted.
    private let runner: Mutex<(any WorkerRunner)?>
    /// The number of queued jobs of one priority at which further callers are suspended.
    public var capacity: Int { queue.capacity }

    /// Creates a worker whose threads start as jobs arrive.
    public convenience init(name: String, capacity: Int, kind: Kind = .thread) {
        self.init(name: name, capacity: capacity, kind: kind, runner: nil)
    }

    /// Creates a worker whose jobs `runner` runs.
    package init(name: String, capacity: Int, kind: Kind = .thread, runner: (any WorkerRunner)?) {
        self.name = name
        self.kind = kind
        queue = WorkerQueue(capacity: max(capacity, 1), jobsMayBlock: kind == .thread)
        self.runner = Mutex(runner)
    }

    deinit { stop() }

    /// The number of jobs queued of which a piece has not begun.
    public var depth: Int { JobPriority.allCases.reduce(0) { $0 + queue.depth($1) } }

    /// The most jobs of one priority that have been queued at once.
    public var peakDepth: Int { JobPriority.allCases.reduce(0) { max($0, queue.peakDepth($1)) } }

    /// Does the same as `depth` for one priority.
    public func depth(_ priority: JobPriority) -> Int { queue.depth(priority) }

    /// Does the same as `peakDepth` for one priority.
    public func peakDepth(_ priority: JobPriority) -> Int { queue.peakDepth(priority) }

    /// How long jobs of a priority have been queued before they began.
    public func waits(_ priority: JobPriority = .low) -> Histogram { queue.waits(priority) }

    /// Runs `job` and returns its result or throws its error. Suspends the caller while `capacity` jobs of this priority are
    /// queued. Throws `ReactorError.closed` after `stop`. Resumes on the caller's executor.
    public func run<T: Sendable>(
        _ priority: JobPriority = .low, _ job: @escaping @Sendable () throws -> T
    ) async throws -> T {
        try await run(priority, job, isLast: false)
    }

    /// Does the same with the last job of a worker with one thread: it runs after all others, and any job submitted later is
    /// refused with `.closed`.
    public func finish<T: Sendable>(_ job: @escaping @Sendable () throws -> T) async throws -> T {
        assert(kind == .thread, "the last job of a pool would run beside others")
        return try await run(.low, job, isLast: true)
    }

    private func run<T: Sendable>(
        _ priority: JobPriority, _ job: @escaping @Sendable () throws -> T, isLast: Bool
    ) async throws -> T {
        let waited = await queue.takeRoom(priority)
        // Not a checked continuation: a job whose loop has ended never runs.
        return try await withUnsafeThrowingContinuation { continuation in
            let refusal = add(priority, pieces: 1, waited: waited, isLast: isLast) { _, refusal in
                continuation.resume(with: refusal.map { .failure($0) } ?? Result(catching: job))
            }
            if let refusal { continuation.resume(throwing: refusal) }
            if isLast { stop() }
        }
    }

    /// Runs `job` for each number below `pieces`, at once on as many threads as are free, and then `join` with the results, in
    /// order, on the thread that ends last. Other jobs of the same priority take turns with the pieces. Suspends and throws
    /// as `run` does; an error of `job` keeps further pieces from beginning.
    public func run<Part: Sendable, T: Sendable>(
        _ priority: JobPriority, pieces: Int, _ job: @escaping @Sendable (Int) throws -> Part,
        join: @escaping @Sendable ([Part]) throws -> T
    ) async throws -> T {
        guard pieces > 0 else { return try await run(priority) { try join([]) } }
        let waited = await queue.takeRoom(priority)
        return try await withUnsafeThrowingContinuation { continuation in
            let work = JobPieces(pieces, job, join, continuation)
            let refusal = add(priority, pieces: pieces, waited: waited, isLast: false) { work.run($0, $1) }
            if let refusal { continuation.resume(throwing: refusal) }
        }
    }

    private func add(
        _ priority: JobPriority, pieces: Int, waited: Bool, isLast: Bool, _ job: @escaping WorkerQueue.Job
    ) -> ReactorError? {
        if let refusal = queue.append(job, pieces: pieces, priority, waited: waited, isLast: isLast) {
            return refusal
        }
        let runner = runner.withLock { runner -> any WorkerRunner in
            let chosen =
                runner ?? EventLoop.current?.driver.makeRunner(named: name, kind) ?? WorkerThreads(name, kind)
            runner = chosen
            return chosen
        }
        for _ in 0..<pieces { runner.jobAdded(to: queue, priority) }
        return nil
    }

    /// Accepts no more jobs. Queued jobs still run, and then the threads end.
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
    /// Ensures that `queue.runNext()` is called once for each call of this, which adds a job or a further piece of one.
    func jobAdded(to queue: WorkerQueue, _ priority: JobPriority)
    /// Notes that the worker has stopped and adds no more jobs.
    func stop()
}
