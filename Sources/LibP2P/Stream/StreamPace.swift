/// The least rate at which the bytes of a long read must come while they take up memory.
///
/// A read that gathers what a peer sends holds it until the end has come. A peer that lets it drip would hold that memory
/// for as long as it likes. A machine: time comes from outside.
struct StreamPace {
    /// The least that has to come in each window: 1.6 KB/s, which the slowest of honest links exceed.
    static let (leastBytes, window) = (16 << 10, Duration.seconds(10))
    /// Bytes that may be held for longer: waiting for a peer's next words is not holding its bytes.
    static let exempt = 64 << 10

    /// When the present window began, and how much had come by then; nil while no long read is under way.
    private var started: (at: Duration, bytes: Int)?

    /// A read begins that holds what it gathers.
    mutating func begin(now: Duration) { started = (now, 0) }

    mutating func end() { started = nil }

    /// When to look next.
    var deadline: Duration? { started.map { $0.at + Self.window } }

    /// Looks at the end of a window, `gathered` bytes being held. True when the peer is too slow. `isExcused`: this side
    /// has not read the socket all the time.
    mutating func isTooSlow(gathered: Int, isExcused: Bool, now: Duration) -> Bool {
        guard let begun = started, now >= begun.at + Self.window else { return false }
        started = (now, gathered)
        return gathered >= Self.exempt && gathered &- begun.bytes < Self.leastBytes && !isExcused
    }
}
