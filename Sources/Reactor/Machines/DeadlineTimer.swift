/// The timer that brings a machine the event `timer` at its deadline.
@ReactorActor
struct DeadlineTimer {
    private var timer: Timer?

    nonisolated init() {}

    /// Arms the timer for a deadline, or disarms it if the deadline is nil. Does nothing while it is armed for the same.
    mutating func arm(at deadline: Duration?, _ ring: @escaping @ReactorActor () -> Void) {
        if let timer, timer.isPending, timer.deadline == deadline { return }
        timer?.cancel()
        timer = deadline.map { Reactor.schedule(after: max(.zero, $0 - Reactor.now), ring) }
    }

    func cancel() { timer?.cancel() }
}
