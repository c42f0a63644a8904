/// The minimum rate at which the bytes of a long read must arrive while they occupy memory.
///
/// A read that gathers bytes holds them until the last has arrived, so a peer that sends slowly could occupy that
/// memory indefinitely. A machine: time comes from outside.
struct StreamPace {
    /// The minimum that must arrive in each window: 1.6 KB/s, which even slow honest links exceed.
    static let (leastBytes, window) = (16 << 10, Duration.seconds(10))
    /// The number of bytes that may be held at any rate, so that a read may wait for a peer's next message.
    static let exempt = 64 << 10

    /// When the current window began, and how many bytes had arrived by then; nil while no long read is under way.
    private var started: (at: Duration, bytes: Int)?

    /// Begins to measure a read that gathers bytes.
    mutating func begin(now: Duration) { started = (now, 0) }

    mutating func end() { started = nil }

    /// When to check next.
    var deadline: Duration? { started.map { $0.at + Self.window } }

    /// Checks a window that has ended, with `gathered` bytes held. Returns true if the peer is too slow. `isExcused`:
    /// this side has paused reading the socket.
    mutating func isTooSlow(gathered: Int, isExcused: Bool, now: Duration) -> Bool {
        guard let begun = started, now >= begun.at + Self.window else { return false }
        started = (now, gathered)
        return gathered >= Self.exempt && gathered &- begun.bytes < Self.leastBytes && !isExcused
    }
}
