/// The timer that rings at a machine's deadline.
@ReactorActor
public struct DeadlineTimer {
    private var timer: Timer?

    /// Creates a timer that is not armed.
    public nonisolated init() {}

    /// Arms the timer for a deadline, or disarms it if the deadline is nil. Does nothing while it is armed for the same.
    public mutating func arm(at deadline: Duration?, _ ring: @escaping @ReactorActor () -> Void) {
        if let timer, timer.isPending, timer.deadline == deadline { return }
        timer?.cancel()
        timer = deadline.map { Reactor.schedule(after: max(.zero, $0 - Reactor.now), ring) }
    }

    /// Disarms the timer.
    public func cancel() { timer?.cancel() }
}
