import Collections

/// Carries typed events from the component that owns the channel to its one consumer, in order.
///
/// `send` does not suspend and drops nothing, so senders bound the queue: a component sends a fixed number of events for
/// each connection, block or change of state, and the consumer handles them without suspending for long.
@ReactorActor
public final class EventChannel<Event: Sendable> {
    private var events = Deque<Event>()
    private var consumer: CheckedContinuation<Event?, Never>?
    private var isFinished = false

    /// An empty channel.
    public nonisolated init() {}

    /// The number of events that have not been taken.
    public var count: Int { events.count }

    /// Appends an event; does nothing after `finish`.
    public func send(_ event: Event) {
        guard !isFinished else { return }
        guard let consumer else { return events.append(event) }
        self.consumer = nil
        consumer.resume(returning: event)
    }

    /// Returns the next event, and suspends until there is one. Returns nil after `finish`, or to a second consumer.
    public func next() async -> Event? {
        if let event = events.popFirst() { return event }
        guard !isFinished, consumer == nil else { return nil }
        return await withCheckedContinuation { consumer = $0 }
    }

    /// Ends the channel and discards the events that have not been taken.
    public func finish() {
        isFinished = true
        events = []
        consumer?.resume(returning: nil)
        consumer = nil
    }
}
