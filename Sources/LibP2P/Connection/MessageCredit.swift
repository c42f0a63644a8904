/// Limits the work with little content that one peer can cause: a token bucket that all its connections share
/// (docs/peers.md).
///
/// Opening and resetting streams, pings, window updates, empty frames, refused protocols and identify pushes cost more
/// to handle than to send. Each costs some units (`YamuxHeader.cost`), and whatever this host sends that requires an
/// answer earns some. A peer without credit is not read, and one that stays without credit is a flooder. A machine:
/// time comes from outside.
struct MessageCredit {
    /// The result of spending.
    enum Verdict: Equatable {
        /// Credit is left.
        case granted
        /// The peer must not be read for this long.
        case paused(Duration)
        /// The peer has been without credit for too long.
        case flooding
    }

    /// How long a peer may exceed its credit. A burst is over by then.
    static let patience = Duration.seconds(5)
    /// A pause lasts until there is credit for one second divided by this number, so that pauses are few.
    private static let resumption = 20

    private let perSecond: Int
    private var left: Int
    private var updatedAt: Duration
    /// When the credit ran out; nil once half of it has been restored.
    private var emptySince: Duration?

    /// Creates full credit, which is that of two seconds.
    ///
    /// - Parameter perSecond: the units restored per second; above zero.
    init(perSecond: Int, now: Duration) {
        self.perSecond = max(perSecond, 1)
        left = 2 &* self.perSecond
        updatedAt = now
    }

    private var capacity: Int { 2 &* perSecond }

    /// Deducts the cost of a peer's messages; a negative cost adds credit.
    mutating func spend(_ cost: Int, now: Duration) -> Verdict {
        restore(now)
        left = min(left &- cost, capacity)
        if left > 0 {
            if left >= perSecond { emptySince = nil }
            return .granted
        }
        let since = emptySince ?? now
        emptySince = since
        guard now - since < Self.patience else { return .flooding }
        let missing = perSecond / Self.resumption &- left
        return .paused(.nanoseconds(missing &* 1_000_000_000 / perSecond))
    }

    private mutating func restore(_ now: Duration) {
        let passed = min(now - updatedAt, .seconds(60))
        let units = Int(passed / .nanoseconds(1)) &* perSecond / 1_000_000_000
        guard units > 0 else { return }
        left = min(left &+ units, capacity)
        // The fraction of a unit counts next time.
        let granted = Duration.nanoseconds(units &* 1_000_000_000 / perSecond)
        updatedAt = left == capacity ? now : updatedAt + granted
    }
}
