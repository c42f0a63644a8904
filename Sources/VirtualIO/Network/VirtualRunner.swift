import Collections
import Reactor
import Synchronization

/// Runs a worker's jobs on the virtual loop itself, so that a simulation is deterministic: those of one thread one after
/// another, those of a pool as if several threads ran them. These begin in order, and end in an order that the loop's seed
/// determines.
final class VirtualRunner: WorkerRunner {
    /// The longest that a job takes on a pool of several threads beyond its duration.
    private static let spread = Duration.microseconds(200)

    private let kind: Worker.Kind
    private let delay: @Sendable () -> Duration
    /// When the jobs added so far are done, on a thread.
    private let freeAt = Mutex(Duration.zero)
    private let pool = Mutex(Pool())

    private struct Pool {
        /// The number of running jobs, or pieces of them.
        var running = 0
        /// Whether one of them is of high priority, beside as many others as there are threads.
        var isBeside = false
    }

    /// Creates a runner that calls `delay` before each job for the job's duration.
    init(_ kind: Worker.Kind, _ delay: @escaping @Sendable () -> Duration = { .zero }) {
        self.kind = kind
        self.delay = delay
    }

    func jobAdded(to queue: WorkerQueue, _ priority: JobPriority) {
        guard let loop = EventLoop.current else { return _ = queue.runNext() }
        loop.call { [self] in
            switch kind {
            case .thread: runAfterOthers(queue, loop)
            case .pool: while begin(queue, loop) {}
            }
        }
    }

    @ReactorActor
    private func runAfterOthers(_ queue: WorkerQueue, _ loop: EventLoop) {
        let now = loop.driver.now
        let due = freeAt.withLock { freeAt in
            freeAt = max(now, freeAt) + delay()
            return freeAt
        }
        if due == now { queue.runNext() } else { _ = loop.timers.add(due) { queue.runNext() } }
    }

    /// Begins the next job if a thread is free for it. Returns whether it did.
    @ReactorActor
    private func begin(_ queue: WorkerQueue, _ loop: EventLoop) -> Bool {
        let (isFree, isBeside) = pool.withLock { ($0.running < kind.threads, $0.isBeside) }
        guard isFree || !isBeside, let piece = queue.takeNext(onlyHigh: !isFree).piece else { return false }
        pool.withLock { if isFree { $0.running += 1 } else { $0.isBeside = true } }
        let time = delay() + (kind.threads > 1 ? Self.spread.part(Reactor.random()) : .zero)
        _ = loop.timers.add(loop.driver.now + time) { [self] in
            piece.run()
            pool.withLock { if isFree { $0.running -= 1 } else { $0.isBeside = false } }
            while begin(queue, loop) {}
        }
        return true
    }

    func stop() {}
}

extension Worker {
    /// Creates a worker for virtual loops. `delay` returns the duration of the next job.
    public convenience init(
        name: String, capacity: Int, kind: Kind = .thread, delay: @escaping @Sendable () -> Duration
    ) {
        self.init(name: name, capacity: capacity, kind: kind, runner: VirtualRunner(kind, delay))
    }
}
