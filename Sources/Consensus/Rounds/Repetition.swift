/// The waits before an unanswered message is sent again, each twice as long as the one before.
struct Repetition: Sendable {
    /// The wait before the first repetition.
    let first: Duration
    private let longest: Duration
    private var wait: Duration
    /// How often the message was sent again.
    private(set) var count = 0

    /// Waits from `first` to `longest`.
    init(first: Duration, longest: Duration) {
        (self.first, self.longest, wait) = (first, longest, first)
    }

    /// A new message is sent.
    mutating func begin() { (wait, count) = (first, 0) }

    /// The message is sent again. Returns the wait before the next time.
    mutating func again() -> Duration {
        wait = min(wait * 2, longest)
        count += 1
        return wait
    }
}
