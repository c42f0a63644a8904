/// The calling thread's event loop as the layers above use it: its start, time, timers and tasks. See
/// docs/architecture.md, "Reactor".
public enum Reactor {
    /// The interface to the kernel.
    public enum DriverKind: String, Sendable, CaseIterable {
        /// io_uring if the kernel allows it, else epoll.
        case auto
        /// io_uring or an error.
        case ioUring = "io_uring"
        /// epoll.
        case epoll
    }

    /// Starts the process's default loop; later calls do nothing. Without this call, the first use starts a loop of the
    /// kind that the environment's `APUS_REACTOR` names, or `auto`. Throws `.driverUnavailable` or the kernel's error.
    public static func start(_ kind: DriverKind) throws(ReactorError) { _ = try DefaultLoop.start(kind) }

    /// The driver in use, for a log: `io_uring`, `epoll`, or `epoll (io_uring refused: ...)`.
    public static var driverDescription: String { loop.driver.name }

    // MARK: Tasks

    /// Starts a task on the calling thread's loop, or on the default loop if the thread has none. This is the only way
    /// to start a task: a plain `Task` would leave the loop.
    @discardableResult
    public static func spawn(_ body: @escaping @ReactorActor @Sendable () async -> Void) -> Task<Void, Never>
    {
        let loop = loop
        loop.willStart(body)
        return Task(executorPreference: loop, operation: body)
    }

    /// Queues a call of `body` on the reactor. May be called on any thread; calls from one thread keep their order.
    public static func enqueue(_ body: @escaping @ReactorActor @Sendable () -> Void) {
        loop.call(body)
    }

    /// Runs `body` on the reactor and returns its result: the entry point for `main`, other threads and tests.
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

    /// The loop's clock, for the jobs of its workers.
    @ReactorActor public static var clock: LoopClock { LoopClock(driver: loop.driver) }

    /// Calls `body` once after `delay`, unless the timer is cancelled. The timer stays pending even if the caller does
    /// not keep it.
    @discardableResult
    @ReactorActor public static func schedule(
        after delay: Duration, _ body: @escaping @ReactorActor () -> Void
    ) -> Timer {
        loop.timers.add(loop.driver.now + delay, body)
    }

    /// Suspends the task for `delay`. Throws as soon as the task is cancelled.
    @ReactorActor public static func sleep(for delay: Duration) async throws(CancellationError) {
        _ = await WaitQueue().wait(limit: delay)
        if Task.isCancelled { throw CancellationError() }
    }

    /// A random number from the loop's generator, which a simulation seeds. Never use it for keys.
    @ReactorActor public static func random() -> UInt64 { loop.random.next() }

    /// The number of jobs, calls and timers that this loop has run.
    @ReactorActor public static var eventsRun: UInt64 { loop.eventsRun }

    /// The calling thread's loop, or the default loop if the thread has none.
    package static var loop: EventLoop { EventLoop.current ?? DefaultLoop.loop }
}

extension Result {
    /// Runs `body` and keeps the value that it returns or the error that it throws.
    package init(catching body: () async throws(Failure) -> Success) async {
        do throws(Failure) { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
