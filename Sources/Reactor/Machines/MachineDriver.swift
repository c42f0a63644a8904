import Collections

/// Runs a machine on a worker of its own: the one way in which a machine gets its events, its time and its timer, and in
/// which its actions are performed (docs/architecture.md, "Machines").
///
/// The machine lives on the worker and never leaves it. Calls wait in one bounded queue and reach the machine in the order in
/// which they were made, several with one job under load; calling while the queue is full suspends the caller. Actions come
/// back to the reactor and are performed there in the order in which the machine wrote them, before the call that caused
/// them returns.
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

    /// What a job brings back.
    private struct Outcome: Sendable {
        var actions: [M.Action] = []
        var deadline: Duration?
        var broken: BrokenInvariant?
    }

    /// Calls that one job takes to the machine: the first of them waits for the last one's actions.
    private static var batch: Int { 64 }

    /// Calls that wait for the machine beyond which callers are suspended. `submit` is exempt.
    public let capacity: Int

    /// The most calls that have waited at once.
    public private(set) var peakDepth = 0

    private let cell: Cell
    private let worker: Worker
    private let wallClock: @Sendable () -> UInt64
    private let onBrokenInvariant: (@ReactorActor @Sendable (BrokenInvariant) -> Void)?
    private var perform: (@ReactorActor (M.Action) -> Void)?
    private var queue = Deque<Call>()
    private var suspended = Deque<CheckedContinuation<Void, Never>>()
    private var isRunning = false
    private var isStopped = false
    private var timer: Timer?

    /// A driver that waits for `start`.
    /// - Parameters:
    ///   - worker: the machine's own; `stop` stops it. Its capacity is the driver's.
    ///   - wallClock: milliseconds since 1970. Called on the reactor.
    ///   - onBrokenInvariant: asks for the machine's invariants to be checked after every call, and is told of each
    ///     that is broken. Nil in production.
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

    /// Begins to handle calls, to perform actions and to keep time.
    public func start(_ perform: @escaping @ReactorActor (M.Action) -> Void) {
        guard !isStopped else { return }
        self.perform = perform
        submit(.timer)
    }

    /// Ends the worker after the job that runs. Calls that wait return with nothing done, and no action is performed any more.
    public func stop() {
        worker.stop()
        isStopped = true
        perform = nil
        timer?.cancel()
        let (calls, callers) = (queue, suspended)
        (queue, suspended) = ([], [])
        for call in calls { call.caller?.resume() }
        for caller in callers { caller.resume() }
    }

    // MARK: Calls

    /// Hands an event in and returns once the machine has handled it and its actions are performed; at once, with nothing
    /// done, after `stop`. Suspends the caller while the queue is full.
    public func handle(_ event: M.Event) async {
        await takeRoom()
        await enter { machine, now, actions in machine.handle(event, at: now, actions: &actions) }
    }

    /// Hands an event in without waiting, whether or not there is room: for events whose number the machine itself bounds,
    /// its timer and the answers to its actions. What peers or clients cause comes by `handle` or `ask`.
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

    /// Takes calls to the machine as long as any wait.
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
        while calls.count < Self.batch, let call = queue.popFirst() { calls.append(call) }
        for _ in 0..<max(0, capacity - queue.count) { suspended.popFirst()?.resume() }
        return calls
    }

    private nonisolated static func run(_ calls: [Call], _ cell: Cell, isChecked: Bool) -> Outcome {
        var outcome = Outcome()
        for call in calls {
            call.body(&cell.machine, call.now, &outcome.actions)
            if isChecked, outcome.broken == nil { outcome.broken = broken(cell.machine) }
        }
        outcome.deadline = cell.machine.deadline
        return outcome
    }

    private nonisolated static func broken(_ machine: M) -> BrokenInvariant? {
        do throws(BrokenInvariant) { try machine.checkInvariants() } catch { return error }
        return nil
    }

    private func settle(_ outcome: Outcome) {
        if let broken = outcome.broken { onBrokenInvariant?(broken) }
        for action in outcome.actions { perform?(action) }
        guard !isStopped, timer.map({ !$0.isPending || $0.deadline != outcome.deadline }) ?? true else {
            return
        }
        timer?.cancel()
        timer = outcome.deadline.map { deadline in
            Reactor.schedule(after: max(.zero, deadline - Reactor.now)) { [weak self] in self?.submit(.timer)
            }
        }
    }
}
