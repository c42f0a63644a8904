import Bytes

/// How those who are served take what they asked for, and whose turns end for it.
///
/// A peer's turns count together while others wait for its place, so that it may read many streams as slowly as one. They
/// are looked at all the time: whoever has stood still before another came makes room at once.
extension ServingQueue {
    /// What a peer must take while others wait, in which time: 64 KiB a second. Readers tell what they have taken when
    /// it is half of a window, 128 KiB.
    static let leastBytes = 128 << 10
    static let leastTime = Duration.seconds(2)
    /// A stranger must take twice as much with every such time for which others have waited for its place.
    static let contestedTime = Duration.seconds(5)
    /// Whoever takes nothing of what is sent to it for so long loses its turn although nobody waits.
    static let longestStill = Duration.seconds(30)

    /// How a peer takes what is sent to it, all its turns together.
    struct Pace {
        /// Bytes that it has read for more to be sent.
        var taken = 0
        /// The end of the last stretch in which that was enough.
        var mark: (taken: Int, at: Duration)
    }

    /// What a turn's stream has sent.
    struct Progress {
        let ticket: Int
        let taken: Int
        /// Whether more waits for the peer to read.
        let isBlocked: Bool
    }

    /// Why a turn ends before its end.
    enum Loss: Equatable {
        /// Its peer took nothing for long.
        case still
        /// Its peer takes too little, and others wait.
        case slow
        /// It has taken long enough, and others wait: no offence.
        case late
    }

    /// Looks at all turns that go on, and returns those that are to end now. To be called a few times a second.
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
        // What fits in the first window is taken without reading.
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
        // Of several turns those go that stand still, while the peer reads another.
        let own = servings(of: turn.peer)
        if own > 1, still >= Self.leastTime * own { return .late }
        let doublings = min(Int(turn.contested / Self.contestedTime), 20)
        guard doublings > 0 else { return nil }
        let least = Double(Self.leastBytes << doublings) * (turn.contested / Self.leastTime)
        return Double(turn.takenContested) < least ? .late : nil
    }
}
