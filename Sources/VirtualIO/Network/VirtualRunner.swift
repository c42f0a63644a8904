import Reactor
import Synchronization

/// Runs a worker's jobs on the virtual loop itself, one after another, so that a simulation is deterministic.
final class VirtualRunner: WorkerRunner {
    private let delay: @Sendable () -> Duration
    /// When the jobs added so far are done.
    private let freeAt = Mutex(Duration.zero)

    /// Creates a runner that calls `delay` before each job for the job's duration.
    init(_ delay: @escaping @Sendable () -> Duration = { .zero }) { self.delay = delay }

    func jobAdded(to queue: WorkerQueue) {
        guard let loop = EventLoop.current else { return _ = queue.runNext() }
        loop.call { [self] in
            let now = loop.driver.now
            let due = freeAt.withLock { freeAt in
                freeAt = max(now, freeAt) + delay()
                return freeAt
            }
            if due == now { queue.runNext() } else { _ = loop.timers.add(due) { queue.runNext() } }
        }
    }

    func stop() {}
}

extension Worker {
    /// Creates a worker for virtual loops. `delay` returns the duration of the next job.
    public convenience init(name: String, capacity: Int, delay: @escaping @Sendable () -> Duration) {
        self.init(name: name, capacity: capacity, runner: VirtualRunner(delay))
    }
}
