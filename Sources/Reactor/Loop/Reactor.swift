/// The process's event loop, as everything above uses it: starting it, time, timers and tasks. See
/// docs/architecture.md, "Reactor".
public enum Reactor {
    /// Which way to the kernel.
    public enum DriverKind: String, Sendable, CaseIterable {
        /// io_uring where the kernel allows it, else epoll.
        case auto
        /// io_uring or an error.
        case ioUring = "io_uring"
        /// epoll.
        case epoll
    }

    /// Starts the default loop, once a process; later calls do nothing. Without it the first use starts a loop of the
    /// kind that the environment's `APUS_REACTOR` names, or `auto`. Throws `.driverUnavailable` or what the kernel says.
    public static func start(_ kind: DriverKind) throws(ReactorError) { _ = try DefaultLoop.start(kind) }

    /// The driver in use, for a log: `io_uring`, `epoll`, or `epoll (io_uring refused: ...)`.
    public static var driverDescription: String { loop.driver.name }

    // MARK: Tasks

    /// Starts a task on the reactor: on the calling thread's loop, or from another thread on the default one. The only
    /// way to start one: a plain `Task` would leave the loop.
    @discardableResult
    public static func spawn(_ body: @escaping @ReactorActor @Sendable () async -> Void) -> Task<Void, Never>
    {
        Task(executorPreference: loop, operation: body)
    }

    /// Calls `body` on the reactor soon. From any thread; calls of one thread keep their order.
    public static func enqueue(_ body: @escaping @ReactorActor @Sendable () -> Void) {
        loop.call(body)
    }

    /// Runs `body` on the reactor and waits for what comes of it: the way in for `main`, other threads and tests.
    /// Cancelling the caller's task cancels the body's.
    public static func run<T: Sendable>(
        _ body: @escaping @ReactorActor @Sendable () async throws -> T
    ) async throws -> T {
        let task = Task(executorPreference: loop, operation: body)
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }

    // MARK: Time

    /// Time since the loop began: monotonic, or virtual in a simulation.
    @ReactorActor public static var now: Duration { loop.driver.now }

    /// Calls `body` once after `delay`, unless the timer is cancelled. It stays pending whether or not it is kept.
    @discardableResult
    @ReactorActor public static func schedule(
        after delay: Duration, _ body: @escaping @ReactorActor () -> Void
    ) -> Timer {
        loop.timers.add(loop.driver.now + delay, body)
    }

    /// Waits for `delay`. Throws at once when the task is, or becomes, cancelled.
    @ReactorActor public static func sleep(for delay: Duration) async throws(CancellationError) {
        _ = await WaitQueue().wait(limit: delay)
        if Task.isCancelled { throw CancellationError() }
    }

    /// Runs `body` as a task of its own and waits for it at most `limit`; then the task is cancelled, and when it has
    /// ended by throwing, `ReactorError.timedOut` is thrown in its place. It must therefore honour cancellation.
    @ReactorActor public static func withTimeout<T: Sendable>(
        _ limit: Duration, _ body: @escaping @ReactorActor @Sendable () async throws -> T
    ) async throws -> T {
        let task = Task(executorPreference: loop, operation: body)
        var hasTimedOut = false
        let timer = schedule(after: limit) {
            hasTimedOut = true
            task.cancel()
        }
        defer { timer.cancel() }
        do {
            return try await withTaskCancellationHandler {
                try await task.value
            } onCancel: {
                task.cancel()
            }
        } catch {
            throw hasTimedOut ? ReactorError.timedOut : error
        }
    }

    /// A number from the loop's generator: seeded in a simulation. Never for keys.
    @ReactorActor public static func random() -> UInt64 { loop.random.next() }

    /// Jobs, calls and timers that this loop has run.
    @ReactorActor public static var eventsRun: UInt64 { loop.eventsRun }

    /// The calling thread's loop; on any other thread the default one.
    package static var loop: EventLoop { EventLoop.current ?? DefaultLoop.loop }
}
