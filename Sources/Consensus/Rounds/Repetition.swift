/// The waits before an unanswered message is sent again, each twice as long as the one before.
struct Repetition: Sendable {
    /// The wait before the first repetition.
    let first: Duration
    private let longest: Duration
    private var wait: Duration
    /// The number of times that the message was sent again.
    private(set) var count = 0

    /// Waits from `first` to `longest`.
    init(first: Duration, longest: Duration) {
        (self.first, self.longest, wait) = (first, longest, first)
    }

    /// Starts over with a new message.
    mutating func begin() { (wait, count) = (first, 0) }

    /// Counts a repetition. Returns the wait before the next one.
    mutating func again() -> Duration {
        wait = min(wait * 2, longest)
        count += 1
        return wait
    }
}
