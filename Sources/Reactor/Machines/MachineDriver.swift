import Collections
import Metrics

/// Runs a machine on a worker of its own: the only source of its events, time and timer, and the only performer of its
/// actions (docs/architecture.md, "Machines").
///
/// The machine lives on the worker and never leaves it. Calls wait in one bounded queue and reach the machine in order,
/// several per job under load; a full queue suspends the caller. The reactor performs the actions in the machine's
/// order, before the call that caused them returns.
@ReactorActor
public final class MachineDriver<M: Machine> {
    /// The machine, which only the worker's jobs touch, one at a time.
    private final class Cell: @unchecked Sendable {
        var machine: M
        init(_ machine: M) { self.machine = machine }
    }

    /// An answer on its way from the worker to the reactor: written by the job, read once the job is done.
    private final class Reply<Value: Sendable>: @unchecked Sendable {
        var value: Value?
    }

    private struct Call: Sendable {
        let body: @Sendable (inout M, Instant, inout [M.Action]) -> Void
        let now: Instant
        let caller: CheckedContinuation<Void, Never>?
    }

    /// The result of a job.
    private struct Outcome: Sendable {
        var actions: [M.Action] = []
        var deadline: Duration?
        var broken: BrokenInvariant?
    }

    /// The most calls in one job: the first of them waits for the last one's actions.
    private static var batch: Int { 64 }

    /// The number of waiting calls at which further callers are suspended. `submit` is exempt.
    public let capacity: Int

    /// The number of waiting calls.
    public var depth: Int { queue.count }

    /// The most calls that have waited at once.
    public private(set) var peakDepth = 0

    /// How long calls have waited before they left for the worker.
    public nonisolated let waits = Histogram()

    private let cell: Cell
    private let worker: Worker
    private let wallClock: @Sendable () -> UInt64
    private let onBrokenInvariant: (@ReactorActor @Sendable (BrokenInvariant) -> Void)?
    private var perform: (@ReactorActor (M.Action) -> Void)?
    private var queue = Deque<Call>()
    private var suspended = Deque<CheckedContinuation<Void, Never>>()
    private var isRunning = false
    private var isStopped = false
    private var timer = DeadlineTimer()

    /// A driver that waits for `start`.
    /// - Parameters:
    ///   - worker: the machine's own; `stop` stops it. Its capacity is the driver's.
    ///   - wallClock: milliseconds since 1970. Called on the reactor.
    ///   - onBrokenInvariant: if set, the machine's invariants are checked after every call, and it receives each
    ///     broken one. Nil in production.
    public init(
        _ machine: sending M, on worker: Worker, wallClock: @escaping @Sendable () -> UInt64,
        onBrokenInvariant: (@ReactorActor @Sendable (BrokenInvariant) -> Void)? = nil
    ) {
        cell = Cell(machine)
        self.worker = worker
        self.wallClock = wallClock
        self.onBrokenInvariant = onBrokenInvariant
        capacity = worker.capacity
    }

    /// Starts handling calls, performing actions and keeping time.
    public func start(_ perform: @escaping @ReactorActor (M.Action) -> Void) {
        guard !isStopped else { return }
        self.perform = perform
        submit(.timer)
    }

    /// Stops the worker after its current job. Waiting calls return without effect, and no further action is performed.
    public func stop() {
        worker.stop()
        isStopped = true
        perform = nil
        timer.cancel()
        let (calls, callers) = (queue, suspended)
        (queue, suspended) = ([], [])
        for call in calls { call.caller?.resume() }
        for caller in callers { caller.resume() }
    }

    // MARK: Calls

    /// Submits an event and returns once the machine has handled it and its actions are performed. Suspends the caller
    /// while the queue is full. Has no effect after `stop`.
    public func handle(_ event: M.Event) async {
        await takeRoom()
        await enter { machine, now, actions in machine.handle(event, at: now, actions: &actions) }
    }

    /// Submits an event without waiting, even to a full queue: only for events whose number the machine bounds, which
    /// are its timer and the answers to its actions. Events that peers or clients cause go through `handle` or `ask`.
    public func submit(_ event: M.Event) {
        guard !isStopped else { return }
        add(nil) { machine, now, actions in machine.handle(event, at: now, actions: &actions) }
    }

    /// Puts a question to the machine and returns its answer, once the actions that the question caused are performed.
    /// Suspends the caller while the queue is full. Throws `ReactorError.closed` after `stop`.
    public func ask<Answer: Sendable>(
        _ question: @escaping @Sendable (inout M, Instant, inout [M.Action]) -> Answer
    ) async throws(ReactorError) -> Answer {
        await takeRoom()
        let reply = Reply<Answer>()
        await enter { machine, now, actions in reply.value = question(&machine, now, &actions) }
        guard let answer = reply.value else { throw .closed }
        return answer
    }

    private func takeRoom() async {
        guard queue.count >= capacity || !suspended.isEmpty, !isStopped else { return }
        await withCheckedContinuation { suspended.append($0) }
    }

    private func enter(_ body: @escaping @Sendable (inout M, Instant, inout [M.Action]) -> Void) async {
        guard !isStopped else { return }
        await withCheckedContinuation { add($0, body) }
    }

    private func add(
        _ caller: CheckedContinuation<Void, Never>?,
        _ body: @escaping @Sendable (inout M, Instant, inout [M.Action]) -> Void
    ) {
        let now = Instant(elapsed: Reactor.now, wallClock: wallClock())
        queue.append(Call(body: body, now: now, caller: caller))
        peakDepth = max(peakDepth, queue.count)
        guard !isRunning, perform != nil else { return }
        isRunning = true
        Reactor.spawn { await self.run() }
    }

    // MARK: Jobs

    /// Passes waiting calls to the machine until none is left.
    private func run() async {
        while !queue.isEmpty {
            let calls = takeBatch()
            let outcome = try? await worker.run { [cell, isChecked = onBrokenInvariant != nil] in
                Self.run(calls, cell, isChecked: isChecked)
            }
            if let outcome { settle(outcome) }
            for call in calls { call.caller?.resume() }
        }
        isRunning = false
    }

    private func takeBatch() -> [Call] {
        var calls: [Call] = []
        calls.reserveCapacity(min(queue.count, Self.batch))
        let now = Reactor.now
        while calls.count < Self.batch, let call = queue.popFirst() {
            waits.record(now - call.now.elapsed)
            calls.append(call)
        }
        var room = capacity - queue.count
        while room > 0, let caller = suspended.popFirst() {
            room -= 1
            caller.resume()
        }
        return calls
    }

    private nonisolated static func run(_ calls: [Call], _ cell: Cell, isChecked: Bool) -> Outcome {
        var outcome = Outcome()
        for call in calls {
            call.body(&cell.machine, call.now, &outcome.actions)
            if isChecked, outcome.broken == nil { outcome.broken = cell.machine.brokenInvariant }
        }
        outcome.deadline = cell.machine.deadline
        return outcome
    }

    private func settle(_ outcome: Outcome) {
        if let broken = outcome.broken { onBrokenInvariant?(broken) }
        for action in outcome.actions { perform?(action) }
        guard !isStopped else { return }
        timer.arm(at: outcome.deadline) { [weak self] in self?.submit(.timer) }
    }
}
