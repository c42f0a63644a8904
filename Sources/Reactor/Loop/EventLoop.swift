import CShims
import Collections
import Glibc
import Synchronization

/// One loop: a thread's queue of jobs, its timers, its connections and the driver that waits for events. It is the
/// executor behind `ReactorActor`, and a task executor, so that tasks made for it stay on it. See
/// docs/architecture.md, "Threads" and "Reactor".
///
/// A turn runs the timers that are due, the jobs that are queued and the connections that have something to send, so
/// that all bytes that one event causes leave together; then it waits in the driver. Other threads may call only
/// `enqueue`, `call`, `run`, `perform` and `stop`.
package final class EventLoop: SerialExecutor, TaskExecutor, @unchecked Sendable {
    /// The most jobs that a turn runs before it polls the sockets, so that busy tasks cannot starve them.
    static let jobsPerTurn = 1024
    /// The most stalls that wait to be reported; a loop that stalls more often is reported often enough.
    private static let maxStalls = 16

    private enum Work {
        /// A job; if it starts a task, the address of the task's function, or else 0.
        case job(UnownedJob, start: UInt)
        case call(@ReactorActor @Sendable () -> Void)
    }

    /// The state shared with other threads.
    private struct Inbox {
        var work: [Work] = []
        /// Whether the loop waits in its driver, or is about to, and must be woken.
        var isWaiting = false
        var isStopped = false
    }

    package let driver: Driver
    package let metrics = LoopMetrics()
    @ReactorActor package let timers = TimerHeap()
    @ReactorActor let chunks = ChunkPool()
    @ReactorActor var random: SeededGenerator
    /// The number of jobs, calls and timers run so far.
    @ReactorActor package private(set) var eventsRun: UInt64 = 0

    private let inbox = Mutex(Inbox())
    private var work = Deque<Work>()
    private var arrived: [Work] = []
    /// Callbacks that held the loop for longer than `LoopMetrics.slow`, for whoever reports them; few are kept.
    @ReactorActor package let stalls = EventChannel<Stall>()
    @ReactorActor private var watch = StallWatch()
    /// The function of the task that is being made on this thread; 0 for none.
    private var starting: UInt = 0
    @ReactorActor private var attention: [TCPConnection] = []
    @ReactorActor private var attended: [TCPConnection] = []

    @ReactorActor
    init(driver: Driver, seed: UInt64? = nil) {
        self.driver = driver
        random = SeededGenerator(seed: seed)
    }

    /// The calling thread's loop.
    package static var current: EventLoop? {
        guard let pointer = apus_current_loop() else { return nil }
        return Unmanaged<EventLoop>.fromOpaque(pointer).takeUnretainedValue()
    }

    private var isCurrent: Bool { apus_current_loop() == Unmanaged.passUnretained(self).toOpaque() }
}

// MARK: - Running

extension EventLoop {
    /// Starts a loop on its own thread and waits until its driver runs or fails. The loop is never freed, because
    /// another thread may resume a task on it as long as the process lives. If `kind` is nil, the environment's
    /// `APUS_REACTOR` decides, or else it is `auto`.
    package static func start(_ kind: Reactor.DriverKind?, name: String) throws(ReactorError) -> EventLoop {
        let kind = if let kind { kind } else { try Reactor.DriverKind.ofEnvironment() }
        let start = ThreadStart<EventLoop>()
        try LoopThread.start(name) {
            let result = Result { () throws(ReactorError) in try make(kind) }
            guard case .success(let loop) = result else { return start.finish(result) }
            apus_set_current_loop(Unmanaged.passRetained(loop).toOpaque())
            apus_set_may_block(false)
            start.finish(result)
            ReactorActor.assumeIsolated {
                while !loop.isStopped { _ = loop.turn() }
                loop.driver.shutdown()
            }
            apus_set_may_block(true)
            apus_set_current_loop(nil)
        }
        return try start.wait()
    }

    /// An io_uring ring belongs to the thread that creates it, so this runs on the loop's.
    private static func make(_ kind: Reactor.DriverKind) throws(ReactorError) -> EventLoop {
        try withUncheckedIsolation { () throws(ReactorError) in
            EventLoop(driver: try Driver.make(kind))
        }
    }

    /// Ends the loop's thread after the current turn and closes its sockets. Tasks that wait on it never resume.
    package func stop() {
        inbox.withLock { $0.isStopped = true }
        driver.wake()
    }

    private var isStopped: Bool { inbox.withLock { $0.isStopped } }

    /// Runs one turn. Returns false once nothing is left to do, now or later; a kernel driver never gets there.
    @ReactorActor
    package func turn() -> Bool {
        watch.begin(driver.wokeTicks)
        takeArrived()
        runTimers()
        runWork()
        attend()
        takeArrived()
        if !work.isEmpty || !attention.isEmpty {
            recordTurn()
            return driver.wait(until: .zero) || true
        }
        let mayWait = inbox.withLock { inbox in
            inbox.isWaiting = inbox.work.isEmpty && !inbox.isStopped
            return inbox.isWaiting
        }
        guard mayWait else { return true }
        recordTurn()
        // A reported stall has queued a job.
        let goesOn = driver.wait(until: work.isEmpty ? timers.nextDeadline : .zero)
        inbox.withLock { $0.isWaiting = false }
        return goesOn || !work.isEmpty || !attention.isEmpty
    }

    @ReactorActor
    private func recordTurn() {
        let turn = driver.now - driver.wokeAt
        metrics.record(turn)
        if let stall = watch.end(turn), stalls.count < Self.maxStalls { stalls.send(stall) }
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
            case .job(let job, let start):
                let calls = start == 0 ? apus_job_calls(of: job) : apus_job_calls(start)
                job.runSynchronously(isolatedTo: serial, taskExecutor: tasks)
                watch.ran(calls)
            case .call(let body):
                body()
                watch.ran(apus_job_calls(body))
            }
        }
        eventsRun &+= UInt64(EventLoop.jobsPerTurn &- budget)
    }

    @ReactorActor
    private func runTimers() {
        guard timers.nextDeadline != nil else { return }
        // A timer that one of these sets waits for the next turn, however short its delay.
        var budget = timers.count
        let now = driver.now
        while budget > 0, let action = timers.popDue(now) {
            budget &-= 1
            eventsRun &+= 1
            action()
            watch.ran(apus_job_calls(action))
        }
    }

    /// Runs `connection.attend()` at the end of this turn or at the start of the next.
    @ReactorActor
    func noteAttention(_ connection: TCPConnection) { attention.append(connection) }

    @ReactorActor
    private func attend() {
        guard !attention.isEmpty else { return }
        swap(&attention, &attended)
        for connection in attended {
            connection.attend()
            watch.sent()
        }
        attended.removeAll(keepingCapacity: attended.count <= EventLoop.jobsPerTurn)
    }
}

// MARK: - Executor

extension EventLoop {
    /// Queues a job; from the loop's own thread without a lock.
    package func enqueue(_ job: consuming ExecutorJob) {
        guard isCurrent else { return add(.job(UnownedJob(job), start: 0)) }
        work.append(.job(UnownedJob(job), start: starting))
        starting = 0
    }

    /// Notes that the job which is queued next, if this is the loop's own thread, starts a task that runs `function`.
    func willStart(_ function: @escaping @ReactorActor @Sendable () async -> Void) {
        if isCurrent { starting = apus_job_calls(start: function).functions.0 }
    }

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
    /// Runs `body` on this loop and returns its result. For callers on other threads.
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

    /// Runs `body` on this loop and returns its result to the caller, which may be on any thread or loop. Cancelling
    /// the caller's task cancels the body's. This is the only way for others to touch this loop's state: actor code
    /// that is merely called runs on the caller's loop.
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

    /// A task on one loop whose result a task on another loop awaits.
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

    /// Creates a loop with `driver` on the calling thread and passes it to `body`, which runs its turns. Then shuts it
    /// down: unfinished tasks never resume.
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

    /// Runs `body` isolated to the actor while a loop is being created and nothing else can reach it.
    private static func withUncheckedIsolation<T, E: Error>(_ body: @ReactorActor () throws(E) -> T) throws(E)
        -> T
    {
        try withoutActuallyEscaping(body) { (body) throws(E) in
            try unsafeBitCast(body, to: (() throws(E) -> T).self)()
        }
    }
}
