/// How much work with little content in it one peer may make for this host: a token bucket that all its connections
/// share (docs/peers.md).
///
/// Opening and resetting streams, pings, window updates, empty frames, refused protocols and identify pushes cost more to
/// take than to send. Each costs some units (`YamuxHeader.cost`), and whatever this host sends that is answered earns
/// some. A peer without credit is not read, and one that stays without is a flooder. A machine: time comes from outside.
struct MessageCredit {
    /// What spending leads to.
    enum Verdict: Equatable {
        /// There is credit left.
        case granted
        /// The peer is not to be read for so long.
        case paused(Duration)
        /// The peer has been without credit for too long.
        case flooding
    }

    /// How long a peer may go on asking for more than it has. A burst is over by then.
    static let patience = Duration.seconds(5)
    /// A pause lasts until there is credit for this part of a second, so that pauses are few.
    private static let resumption = 20

    private let perSecond: Int
    private var left: Int
    private var updatedAt: Duration
    /// When the credit ran out, unless half of it has come back since.
    private var emptySince: Duration?

    /// Full credit, which is that of two seconds.
    ///
    /// - Parameter perSecond: units that come back in a second; above zero.
    init(perSecond: Int, now: Duration) {
        self.perSecond = max(perSecond, 1)
        left = 2 &* self.perSecond
        updatedAt = now
    }

    private var capacity: Int { 2 &* perSecond }

    /// Takes off what a peer's messages have cost, or adds what was earned if that is negative.
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
        // What is left of a unit counts next time.
        let granted = Duration.nanoseconds(units &* 1_000_000_000 / perSecond)
        updatedAt = left == capacity ? now : updatedAt + granted
    }
}
