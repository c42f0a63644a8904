/// Runs a machine on a worker of its own: the one way in which a machine gets its events, its time and its timer, and in
/// which its actions are performed (docs/architecture.md, "Machines").
///
/// The machine lives on the worker and never leaves it. Events enter through the worker's bounded queue; submitting to a
/// full queue suspends the caller. Actions come back to the reactor and are performed there in the order in which the
/// machine wrote them, before the call that caused them returns.
@ReactorActor
public final class MachineDriver<M: Machine> {
    /// The machine, which only the worker's jobs touch, one at a time.
    private final class Cell: @unchecked Sendable {
        var machine: M
        init(_ machine: M) { self.machine = machine }
    }

    /// What a job brings back.
    private struct Outcome<Reply: Sendable>: Sendable {
        let reply: Reply
        let actions: [M.Action]
        let deadline: Duration?
        let broken: BrokenInvariant?
    }

    private let cell: Cell
    private let worker: Worker
    private let wallClock: @Sendable () -> UInt64
    private let onBrokenInvariant: (@Sendable (BrokenInvariant) -> Void)?
    private var perform: (@ReactorActor (M.Action) -> Void)?
    private var timer: Timer?
    private var isStopped = false

    /// A driver that waits for `start`.
    /// - Parameters:
    ///   - worker: the machine's own; `stop` stops it.
    ///   - wallClock: milliseconds since 1970. Called on the reactor.
    ///   - onBrokenInvariant: asks for the machine's invariants to be checked after every event, and is told, on the reactor,
    ///     of each that is broken. Nil in production.
    public init(
        _ machine: sending M, on worker: Worker, wallClock: @escaping @Sendable () -> UInt64,
        onBrokenInvariant: (@Sendable (BrokenInvariant) -> Void)? = nil
    ) {
        cell = Cell(machine)
        self.worker = worker
        self.wallClock = wallClock
        self.onBrokenInvariant = onBrokenInvariant
    }

    /// Begins to perform actions and to keep time. What is submitted before is performed from here on, too.
    public func start(_ perform: @escaping @ReactorActor (M.Action) -> Void) {
        self.perform = perform
        submit(.timer)
    }

    /// Ends the worker after what is queued. No action is performed any more.
    public func stop() {
        end()
        worker.stop()
    }

    /// Ends the worker at once, as a crash does.
    public func abandon() {
        end()
        worker.abandon()
    }

    private func end() {
        isStopped = true
        timer?.cancel()
        perform = nil
    }

    /// Hands an event in, and returns once the machine has handled it and its actions are performed. Returns at once, with
    /// nothing done, after `stop`.
    public func handle(_ event: M.Event) async {
        _ = try? await ask { (machine, now, actions) in machine.handle(event, at: now, actions: &actions) }
    }

    /// Hands an event in without waiting. Events of one task keep their order.
    public func submit(_ event: M.Event) {
        guard !isStopped else { return }
        Reactor.spawn { await self.handle(event) }
    }

    /// Puts a question to the machine and returns its answer, once the actions that the question caused are performed.
    /// Throws `ReactorError.closed` after `stop`.
    public func ask<Reply: Sendable>(
        _ question: @escaping @Sendable (inout M, Instant, inout [M.Action]) -> Reply
    ) async throws -> Reply {
        let now = Instant(elapsed: Reactor.now, wallClock: wallClock())
        let (cell, isChecked) = (cell, onBrokenInvariant != nil)
        let outcome = try await worker.run { () -> Outcome<Reply> in
            var actions: [M.Action] = []
            let reply = question(&cell.machine, now, &actions)
            return Outcome(
                reply: reply, actions: actions, deadline: cell.machine.deadline,
                broken: isChecked ? Self.broken(cell.machine) : nil)
        }
        if let broken = outcome.broken { onBrokenInvariant?(broken) }
        for action in outcome.actions { perform?(action) }
        keepTime(outcome.deadline)
        return outcome.reply
    }

    private nonisolated static func broken(_ machine: M) -> BrokenInvariant? {
        do throws(BrokenInvariant) { try machine.checkInvariants() } catch { return error }
        return nil
    }

    private func keepTime(_ deadline: Duration?) {
        guard !isStopped, timer.map({ !$0.isPending || $0.deadline != deadline }) ?? true else { return }
        timer?.cancel()
        timer = nil
        guard let deadline else { return }
        timer = Reactor.schedule(after: max(.zero, deadline - Reactor.now)) { [weak self] in
            self?.submit(.timer)
        }
    }
}
