import Reactor
import Synchronization

/// Runs the jobs of a worker on the virtual loop itself, one after another, so that a simulation repeats.
final class VirtualRunner: WorkerRunner {
    private let delay: @Sendable () -> Duration
    /// When the jobs so far are done.
    private let freeAt = Mutex(Duration.zero)

    /// A runner whose jobs take as long as `delay` says before each.
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
    /// A worker for virtual loops. `delay` says how long the next job takes.
    public convenience init(name: String, capacity: Int, delay: @escaping @Sendable () -> Duration) {
        self.init(name: name, capacity: capacity, runner: VirtualRunner(delay))
    }
}
