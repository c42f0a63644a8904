import Bytes

/// How fast served peers read, and which turns end because their peers read too slowly.
///
/// A peer's turns count together while others wait for its place, so it need not read several streams faster than one.
/// They are checked all the time: a peer that stood still before another began to wait loses its place at once.
extension ServingQueue {
    /// The bytes that a peer must read while others wait, and in which time: 64 KiB per second. Readers report progress
    /// after half a window, 128 KiB.
    static let leastBytes = 128 << 10
    static let leastTime = Duration.seconds(2)
    /// A stranger must read twice as fast after each such period in which others waited for its place.
    static let contestedTime = Duration.seconds(5)
    /// A peer that reads nothing for this long loses its turn even if no other waits.
    static let longestStill = Duration.seconds(30)

    /// The progress of a peer, over all its turns.
    struct Pace {
        /// The number of bytes that it has read, beyond the first window of each turn.
        var taken = 0
        /// The state at the end of the last period in which it read enough.
        var mark: (taken: Int, at: Duration)
    }

    /// The progress of a turn's stream.
    struct Progress {
        let ticket: Int
        let taken: Int
        /// Whether more data waits for the peer to read.
        let isBlocked: Bool
    }

    /// Why a turn ends early.
    enum Loss: Equatable {
        /// The peer read nothing for long.
        case still
        /// The peer reads too slowly, and others wait.
        case slow
        /// The turn has lasted long enough, and others wait. No offence.
        case late
    }

    /// Checks all current turns, and returns those that must end now. Called a few times per second.
    mutating func look(_ all: [Progress], now: Duration) -> [(ticket: Int, loss: Loss)] {
        let elapsed = min(max(.zero, now - (looked ?? now)), Self.leastTime)
        looked = now
        let isContested = all.map { one in active[one.ticket].map(self.isContested) ?? false }
        for (one, isContested) in zip(all, isContested) { note(one, isContested ? elapsed : .zero, now) }
        let blocked = Set(all.filter(\.isBlocked).compactMap { active[$0.ticket]?.peer })
        for (peer, pace) in paces
        where !blocked.contains(peer) || pace.taken - pace.mark.taken >= Self.leastBytes {
            paces[peer]?.mark = (pace.taken, now)
        }
        return zip(all, isContested).compactMap { one, isContested in
            guard one.isBlocked, let turn = active[one.ticket] else { return nil }
            return loss(of: turn, isContested, now).map { (one.ticket, $0) }
        }
    }

    private mutating func note(_ one: Progress, _ contested: Duration, _ now: Duration) {
        guard var turn = active[one.ticket] else { return }
        let more = max(0, one.taken - turn.taken)
        turn.taken = one.taken
        // The first window fills without the peer reading.
        paces[turn.peer, default: Pace(mark: (0, now))].taken += turn.hasFilled ? more : 0
        if one.isBlocked { turn.hasFilled = true }
        if more > 0 || !one.isBlocked || turn.moved == nil { turn.moved = now }
        turn.contested += contested
        if contested > .zero { turn.takenContested += more }
        active[one.ticket] = turn
    }

    private func loss(of turn: Turn, _ isContested: Bool, _ now: Duration) -> Loss? {
        let still = now - (turn.moved ?? now)
        if still >= Self.longestStill { return .still }
        guard isContested, let pace = paces[turn.peer] else { return nil }
        if now - pace.mark.at >= Self.leastTime { return .slow }
        guard turn.rank == .stranger else { return nil }
        // Of several turns, those that stand still end while the peer reads another.
        let own = servings(of: turn.peer)
        if own > 1, still >= Self.leastTime * own { return .late }
        let doublings = min(Int(turn.contested / Self.contestedTime), 20)
        guard doublings > 0 else { return nil }
        let least = Double(Self.leastBytes << doublings) * (turn.contested / Self.leastTime)
        return Double(turn.takenContested) < least ? .late : nil
    }
}
