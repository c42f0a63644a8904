/// The growing waits before what nobody has answered is sent again.
struct Repetition: Sendable {
    /// The wait before the first repetition.
    let first: Duration
    private let longest: Duration
    private var wait: Duration
    /// How often it was sent again.
    private(set) var count = 0

    /// Waits `first` at the beginning, twice as long each time, and `longest` at most.
    init(first: Duration, longest: Duration) {
        (self.first, self.longest, wait) = (first, longest, first)
    }

    /// Something new is sent, and sent again after `first`.
    mutating func begin() { (wait, count) = (first, 0) }

    /// It is sent again. Returns the wait before the next time.
    mutating func again() -> Duration {
        wait = min(wait * 2, longest)
        count += 1
        return wait
    }
}
