import Collections
import Multiformats

/// Who is served blocks next: validators and the leader before those whom this node has chosen, and these before
/// strangers; among those of one rank whoever has had the fewest turns, then who came first. Whoever does not take what it
/// asked for loses its turn while others wait. A pure state machine.
struct ServingQueue {
    /// What becomes of one who enters.
    enum Entry: Equatable {
        case serve
        /// `leave` will name its ticket.
        case wait
        case refuse
    }

    /// Servings at once. Each holds at most 1 MiB for its peer, mostly in the mapped log.
    static let places = 16
    /// Places that those who are no members can take together, and those of one rank alone: a member finds one free, and
    /// neither strangers nor chosen peers can take all that the others have.
    static let openPlaces = 12
    static let placesPerRank = 8
    /// Places of one peer. While others wait a stranger is given no second one, and gives back what it has beyond one after
    /// the block that each is at.
    static let placesPerPeer = 4
    /// Requests that wait, of all, and of those of each rank and of one peer of it: strangers cannot fill the line.
    static let waiting = 256
    static func waiting(of rank: PeerRank) -> (all: Int, peer: Int) {
        switch rank {
        case .member: (waiting, 16)
        case .chosen: (96, 16)
        case .stranger: (96, 4)
        }
    }
    /// How long one may wait before it is told to come back: less than the asker's patience.
    static let longestWait = Duration.seconds(2)
    /// A turn ends after the block it is at when another of the same rank has waited so long.
    static let fairWait = Duration.milliseconds(500)
    /// What a peer must take of what is being sent to it, in which time, while others wait.
    static let leastBytes = 64 << 10
    static let leastTime = Duration.seconds(1)
    /// The time after which a turn that was lost is forgiven, and peers of which it is remembered.
    static let forgiven = Duration.seconds(60)
    static let remembered = 1_024

    private struct Waiting {
        let ticket: Int
        let peer: PeerID
        let rank: PeerRank
        let since: Duration
    }

    private struct Turn {
        let peer: PeerID
        let rank: PeerRank
        /// What it had taken at a time, from which its rate is measured; nil while there is nothing to take or nobody waits.
        var mark: (taken: Int, at: Duration)?
    }

    private var line: [Waiting] = []
    /// Turns that go on, by ticket.
    private var active: OrderedDictionary<Int, Turn> = [:]
    /// Turns had, of peers that are served or wait.
    private var turns: [PeerID: Int] = [:]
    private var lost = FadingCounts<PeerID>(forgiven: forgiven, capacity: remembered)

    /// Servings that go on.
    var activeCount: Int { active.count }
    /// Requests that wait.
    var waitingCount: Int { line.count }

    mutating func enter(_ peer: PeerID, _ rank: PeerRank, ticket: Int, now: Duration) -> Entry {
        let own = line.count { $0.peer == peer }
        // Whoever was told to wait goes first, unless it could not go now anyway.
        if own == 0, mayGo(peer, rank), !line.contains(where: { $0.rank <= rank && mayGo($0.peer, $0.rank) })
        {
            begin(peer, rank, ticket)
            return .serve
        }
        let most = Self.waiting(of: rank)
        guard line.count < Self.waiting, line.count(where: { $0.rank == rank }) < most.all, own < most.peer
        else { return .refuse }
        line.append(Waiting(ticket: ticket, peer: peer, rank: rank, since: now))
        return .wait
    }

    /// A turn is over. Returns the tickets whose turns begin.
    mutating func leave(_ ticket: Int) -> [Int] {
        guard let turn = active.removeValue(forKey: ticket) else { return [] }
        forget(turn.peer)
        return advance()
    }

    /// One that waited does not any more. Returns whether it did.
    mutating func giveUp(_ ticket: Int) -> Bool {
        guard let index = line.firstIndex(where: { $0.ticket == ticket }) else { return false }
        let peer = line.remove(at: index).peer
        forget(peer)
        return true
    }

    /// Whether a turn should end soon for the sake of others.
    func shouldYield(_ ticket: Int, now: Duration) -> Bool {
        guard let turn = active[ticket] else { return true }
        let hasMore = turn.rank == .stranger && servings(of: turn.peer) > 1
        return line.contains {
            $0.peer != turn.peer && $0.rank <= turn.rank
                && (hasMore || $0.rank < turn.rank || now - $0.since >= Self.fairWait)
        }
    }

    /// Looks at how many bytes a peer has taken, and whether more wait for it: false when it has lost its turn, which is
    /// to end now. To be asked a few times a second while others wait.
    mutating func takesEnough(_ ticket: Int, taken: Int, isBlocked: Bool, now: Duration) -> Bool {
        guard let turn = active[ticket] else { return true }
        guard isBlocked, line.contains(where: { $0.peer != turn.peer }) else {
            active[ticket]?.mark = nil
            return true
        }
        guard let mark = turn.mark, taken - mark.taken < Self.leastBytes else {
            active[ticket]?.mark = (taken, now)
            return true
        }
        return now - mark.at < Self.leastTime
    }

    /// A peer has lost turns. Returns how often lately, this time included.
    mutating func noteLoss(_ peer: PeerID, now: Duration) -> Int { lost.add(1, to: peer, now: now) }

    private func servings(of peer: PeerID) -> Int { active.values.count { $0.peer == peer } }

    private mutating func advance() -> [Int] {
        var tickets: [Int] = []
        while let index = next() {
            let one = line.remove(at: index)
            begin(one.peer, one.rank, one.ticket)
            tickets.append(one.ticket)
        }
        return tickets
    }

    private func next() -> Int? {
        line.indices.filter { mayGo(line[$0].peer, line[$0].rank) }.min {
            (line[$0].rank.rawValue, turns[line[$0].peer] ?? 0, $0)
                < (line[$1].rank.rawValue, turns[line[$1].peer] ?? 0, $1)
        }
    }

    private func mayGo(_ peer: PeerID, _ rank: PeerRank) -> Bool {
        let own = servings(of: peer)
        guard activeCount < Self.places, own < Self.placesPerPeer else { return false }
        guard rank != .member else { return true }
        guard active.values.count(where: { $0.rank != .member }) < Self.openPlaces,
            active.values.count(where: { $0.rank == rank }) < Self.placesPerRank
        else { return false }
        return rank == .chosen || own == 0 || !line.contains { $0.peer != peer }
    }

    private mutating func begin(_ peer: PeerID, _ rank: PeerRank, _ ticket: Int) {
        active[ticket] = Turn(peer: peer, rank: rank)
        turns[peer, default: 0] += 1
    }

    private mutating func forget(_ peer: PeerID) {
        guard servings(of: peer) == 0, !line.contains(where: { $0.peer == peer }) else { return }
        turns[peer] = nil
    }
}
