import Collections

/// Runs a machine on the reactor: the counterpart of `MachineDriver` for a machine that takes microseconds per event
/// and whose owner needs its state at once (docs/architecture.md, "Machines").
///
/// Events reach the machine at once, and its actions are performed in its order. An event submitted while an action is
/// performed reaches the machine before the remaining actions are performed.
@ReactorActor
public final class ReactorMachineDriver<M: Machine> {
    /// The machine, to be read.
    public private(set) var machine: M

    private let wallClock: @Sendable () -> UInt64
    private let onBrokenInvariant: (@ReactorActor @Sendable (BrokenInvariant) -> Void)?
    private var perform: (@ReactorActor (M.Action) -> Void)?
    private var actions = Deque<M.Action>()
    private var isPerforming = false
    private var isStopped = false
    private var timer = DeadlineTimer()

    /// A driver that handles events and keeps actions until `start`. For the parameters see `MachineDriver`.
    public init(
        _ machine: M, wallClock: @escaping @Sendable () -> UInt64,
        onBrokenInvariant: (@ReactorActor @Sendable (BrokenInvariant) -> Void)? = nil
    ) {
        self.machine = machine
        self.wallClock = wallClock
        self.onBrokenInvariant = onBrokenInvariant
    }

    /// Starts performing actions and keeping time.
    public func start(_ perform: @escaping @ReactorActor (M.Action) -> Void) {
        self.perform = perform
        submit(.timer)
    }

    /// Ignores further events and performs no further action. `ask` still works.
    public func stop() {
        isStopped = true
        perform = nil
        timer.cancel()
    }

    /// Passes an event to the machine and performs the resulting actions.
    public func submit(_ event: M.Event) {
        guard !isStopped else { return }
        ask { machine, now, actions in machine.handle(event, at: now, actions: &actions) }
    }

    /// Puts a question to the machine, performs the resulting actions and returns the answer.
    @discardableResult
    public func ask<Answer>(_ question: (inout M, Instant, inout [M.Action]) -> Answer) -> Answer {
        var caused: [M.Action] = []
        let answer = question(&machine, Instant(elapsed: Reactor.now, wallClock: wallClock()), &caused)
        guard !isStopped else { return answer }
        if let onBrokenInvariant, let broken = machine.brokenInvariant { onBrokenInvariant(broken) }
        actions.append(contentsOf: caused)
        performActions()
        return answer
    }

    private func performActions() {
        guard !isPerforming, let perform else { return }
        isPerforming = true
        while !isStopped, let action = actions.popFirst() { perform(action) }
        isPerforming = false
        guard !isStopped else { return }
        timer.arm(at: machine.deadline) { [weak self] in self?.submit(.timer) }
    }
}
