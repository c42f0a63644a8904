/// What to add to a node's clock to get this process's, as round trips tell (RFC 5905, section 8, with the node's receive
/// and transmit times being one reading).
struct ClockOffset: Equatable {
    /// The number of round trips that `measure` makes.
    static let rounds = 16

    /// Added to a time of the node's clock, gives the time of this process's clock.
    let offset: Duration
    /// The offset is wrong by at most this: half of the shortest round trip.
    let uncertainty: Duration

    /// A question to a node and its answer: sent and received by this process's clock, read by the node's.
    struct RoundTrip {
        let sent: Duration
        let reading: Duration
        let received: Duration

        var time: Duration { received - sent }
    }

    init(offset: Duration, uncertainty: Duration) {
        self.offset = offset
        self.uncertainty = uncertainty
    }

    /// Creates the offset that the shortest round trip tells. Returns nil if there is none.
    init?(_ trips: [RoundTrip]) {
        guard let best = trips.min(by: { $0.time < $1.time }) else { return nil }
        offset = best.sent + best.time / 2 - best.reading
        uncertainty = best.time / 2
    }

    /// Asks a node for its clock several times. This process's clock counts from `start`.
    static func measure(
        since start: ContinuousClock.Instant, _ read: () async throws -> Duration
    ) async throws -> ClockOffset? {
        let clock = ContinuousClock()
        var trips: [RoundTrip] = []
        for _ in 0..<rounds {
            let sent = clock.now - start
            let reading = try await read()
            trips.append(RoundTrip(sent: sent, reading: reading, received: clock.now - start))
        }
        return ClockOffset(trips)
    }
}
