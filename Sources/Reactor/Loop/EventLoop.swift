import CShims
import Collections
import Glibc
import Synchronization

/// One loop: a thread's queue of jobs, its timers, its connections and the driver that waits for events. It is the
/// executor behind `ReactorActor`, and a task executor, so that tasks made for it stay on it. See
/// docs/architecture.md, "Threads" and "Reactor".
///
/// A turn runs the timers that are due, the jobs that are queued and the connections that have something to send, so
/// that what one event makes a connection say leaves together; then it waits in the driver. Everything but `enqueue` and `stop` belongs to the loop's thread.
package final class EventLoop: SerialExecutor, TaskExecutor, @unchecked Sendable {
    /// Jobs that a turn runs before it looks at the sockets again, so that busy tasks cannot starve them.
    static let jobsPerTurn = 1024

    private enum Work {
        case job(UnownedJob)
        case call(@ReactorActor @Sendable () -> Void)
    }

    /// What other threads may touch.
    private struct Inbox {
        var work: [Work] = []
        /// Whether the loop waits in its driver, or is about to, and must be woken.
        var isWaiting = false
        var isStopped = false
    }

    package let driver: Driver
    @ReactorActor package let timers = TimerHeap()
    @ReactorActor let chunks = ChunkPool()
    @ReactorActor var random: SeededGenerator
    /// Jobs, calls and timers that have run.
    @ReactorActor package private(set) var eventsRun: UInt64 = 0

    private let inbox = Mutex(Inbox())
    private var work = Deque<Work>()
    private var arrived: [Work] = []
    @ReactorActor private var attention: [TCPConnection] = []
    @ReactorActor private var attended: [TCPConnection] = []

    @ReactorActor
    init(driver: Driver, seed: UInt64? = nil) {
        self.driver = driver
        random = SeededGenerator(seed: seed)
    }

    /// The loop that the calling thread runs.
    package static var current: EventLoop? {
        guard let pointer = apus_current_loop() else { return nil }
        return Unmanaged<EventLoop>.fromOpaque(pointer).takeUnretainedValue()
    }

    private var isCurrent: Bool { apus_current_loop() == Unmanaged.passUnretained(self).toOpaque() }
}

// MARK: - Running

extension EventLoop {
    /// Starts a loop on a thread of its own, and waits until its driver runs or has refused. Such a loop is never
    /// freed: another thread may hold the right to resume a task on it for as long as the process lives. Without a kind
    /// it has that of the environment's `APUS_REACTOR`, or `auto`.
    package static func start(_ kind: Reactor.DriverKind?, name: String) throws(ReactorError) -> EventLoop {
        let kind = if let kind { kind } else { try Reactor.DriverKind.ofEnvironment() }
        let start = ThreadStart<EventLoop>()
        try LoopThread.start(name) {
            let loop: EventLoop
            do throws(ReactorError) {
                loop = try make(kind)
            } catch {
                start.finish(.failure(error))
                return
            }
            apus_set_current_loop(Unmanaged.passRetained(loop).toOpaque())
            apus_set_reactor_thread(true)
            start.finish(.success(loop))
            ReactorActor.assumeIsolated {
                while !loop.isStopped { _ = loop.turn() }
                loop.driver.shutdown()
            }
            apus_set_reactor_thread(false)
            apus_set_current_loop(nil)
        }
        return try start.wait()
    }

    /// io_uring rings belong to the thread that makes them, so this runs on the loop's.
    private static func make(_ kind: Reactor.DriverKind) throws(ReactorError) -> EventLoop {
        try withUncheckedIsolation { () throws(ReactorError) in
            EventLoop(driver: try Driver.make(kind))
        }
    }

    /// Ends the loop's thread after its present turn and closes its sockets. Tasks that wait on it never resume.
    package func stop() {
        inbox.withLock { $0.isStopped = true }
        driver.wake()
    }

    private var isStopped: Bool { inbox.withLock { $0.isStopped } }

    /// One turn. Returns false when nothing is left to do, now or later; with a kernel beneath it, that is never.
    @ReactorActor
    package func turn() -> Bool {
        takeArrived()
        runTimers()
        runWork()
        attend()
        takeArrived()
        if !work.isEmpty || !attention.isEmpty { return driver.wait(until: .zero) || true }
        let mayWait = inbox.withLock { inbox in
            inbox.isWaiting = inbox.work.isEmpty && !inbox.isStopped
            return inbox.isWaiting
        }
        guard mayWait else { return true }
        let goesOn = driver.wait(until: timers.nextDeadline)
        inbox.withLock { $0.isWaiting = false }
        return goesOn || !work.isEmpty || !attention.isEmpty
    }

    private func takeArrived() {
        inbox.withLock { swap(&$0.work, &arrived) }
        work.append(contentsOf: arrived)
        arrived.removeAll(keepingCapacity: arrived.count <= EventLoop.jobsPerTurn)
    }

    @ReactorActor
    private func runWork() {
        var budget = EventLoop.jobsPerTurn
        let serial = asUnownedSerialExecutor()
        let tasks = asUnownedTaskExecutor()
        while budget > 0, let next = work.popFirst() {
            budget &-= 1
            switch next {
            case .job(let job): job.runSynchronously(isolatedTo: serial, taskExecutor: tasks)
            case .call(let body): body()
            }
        }
        eventsRun &+= UInt64(EventLoop.jobsPerTurn &- budget)
    }

    @ReactorActor
    private func runTimers() {
        guard timers.nextDeadline != nil else { return }
        // Timers set while these run wait for the next turn, however short.
        var budget = timers.count
        let now = driver.now
        while budget > 0, let action = timers.popDue(now) {
            budget &-= 1
            eventsRun &+= 1
            action()
        }
    }

    /// Runs `connection.attend()` at the end of this turn or at the start of the next.
    @ReactorActor
    func noteAttention(_ connection: TCPConnection) { attention.append(connection) }

    @ReactorActor
    private func attend() {
        guard !attention.isEmpty else { return }
        swap(&attention, &attended)
        for connection in attended { connection.attend() }
        attended.removeAll(keepingCapacity: attended.count <= EventLoop.jobsPerTurn)
    }
}

// MARK: - Executor

extension EventLoop {
    /// Queues a job; from the loop's own thread without a lock.
    package func enqueue(_ job: consuming ExecutorJob) { add(.job(UnownedJob(job))) }

    /// Queues a call; from another thread it wakes the loop.
    package func call(_ body: @escaping @ReactorActor @Sendable () -> Void) { add(.call(body)) }

    private func add(_ item: Work) {
        if isCurrent {
            work.append(item)
            return
        }
        let mustWake = inbox.withLock { inbox in
            inbox.work.append(item)
            defer { inbox.isWaiting = false }
            return inbox.isWaiting
        }
        if mustWake { driver.wake() }
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    package func asUnownedTaskExecutor() -> UnownedTaskExecutor { UnownedTaskExecutor(ordinary: self) }

    package func checkIsolated() { precondition(isCurrent, "not on the reactor's thread") }

    package func isIsolatingCurrentContext() -> Bool? { isCurrent }
}

// MARK: - From outside

extension EventLoop {
    /// Runs `body` on this loop and waits for what comes of it, from any other thread.
    package func run<T: Sendable>(
        _ body: @escaping @ReactorActor @Sendable () async throws -> T
    ) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            call {
                _ = Reactor.spawn {
                    do { continuation.resume(returning: try await body()) } catch {
                        continuation.resume(throwing: error)
                    }
                }
            }
        }
    }

    /// Runs `body` on this loop, from any thread and any other loop, and returns there with what comes of it. Cancelling
    /// the caller's task cancels the body's. State that belongs to this loop may be touched by others in this way only:
    /// code of the actor's that is merely called runs on the caller's loop.
    package func perform<T: Sendable>(_ body: @escaping @ReactorActor @Sendable () async -> T) async -> T {
        if isCurrent { return await body() }
        let crossing = Crossing()
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                call { crossing.begin(Reactor.spawn { continuation.resume(returning: await body()) }) }
            }
        } onCancel: {
            call { crossing.cancel() }
        }
    }

    /// The task that does on one loop what a task of another waits for.
    @ReactorActor
    private final class Crossing {
        private var task: Task<Void, Never>?
        private var isCancelled = false

        nonisolated init() {}

        func begin(_ task: Task<Void, Never>) {
            self.task = task
            if isCancelled { task.cancel() }
        }

        func cancel() {
            isCancelled = true
            task?.cancel()
        }
    }

    /// Makes a loop on `driver` for the calling thread and hands it to `body`, which turns it. Then shuts it down: tasks
    /// left behind never resume.
    package static func withLoop<T>(
        of driver: @ReactorActor () -> Driver, seed: UInt64, _ body: @ReactorActor (EventLoop) throws -> T
    ) rethrows -> T {
        let previous = apus_current_loop()
        let loop = withUncheckedIsolation { EventLoop(driver: driver(), seed: seed) }
        apus_set_current_loop(Unmanaged.passUnretained(loop).toOpaque())
        defer { apus_set_current_loop(previous) }
        return try withExtendedLifetime(loop) {
            try ReactorActor.assumeIsolated {
                defer {
                    loop.driver.shutdown()
                    loop.timers.removeAll()
                }
                return try body(loop)
            }
        }
    }

    /// Runs `body` as the actor's while a loop is being made, before anything else can know it.
    private static func withUncheckedIsolation<T, E: Error>(_ body: @ReactorActor () throws(E) -> T) throws(E)
        -> T
    {
        try withoutActuallyEscaping(body) { (body) throws(E) in
            try unsafeBitCast(body, to: (() throws(E) -> T).self)()
        }
    }
}
