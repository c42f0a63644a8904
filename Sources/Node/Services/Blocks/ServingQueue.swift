import Collections
import Multiformats
import Peers

/// Who is served blocks next: validators and the leader before those whom this node has chosen, and these before
/// strangers; among those of one rank whoever has had the fewest turns, then who came first. Whoever does not take what it
/// asked for loses its turn (`ServingQueue+Pace.swift`). A pure state machine.
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
    /// the block that each is at, or at once if it does not read it.
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
    /// The time after which a turn that was lost is forgiven, and peers of which it is remembered.
    static let forgiven = Duration.seconds(60)
    static let remembered = 1_024

    private struct Waiting {
        let ticket: Int
        let peer: PeerID
        let rank: PeerRank
        let since: Duration
    }

    struct Turn {
        let peer: PeerID
        let rank: PeerRank
        /// What it had taken when it was last looked at, and when that was more than before.
        var taken = 0
        var moved: Duration?
        /// Whether its peer's first window was full.
        var hasFilled = false
        /// For how long others have waited for its place, and what it has taken meanwhile.
        var contested = Duration.zero
        var takenContested = 0
    }

    private var line: [Waiting] = []
    /// Turns that go on, by ticket.
    var active: OrderedDictionary<Int, Turn> = [:]
    /// Turns had, of peers that are served or wait.
    private var turns: [PeerID: Int] = [:]
    /// How those who are served take it.
    var paces: [PeerID: Pace] = [:]
    /// When that was last looked at.
    var looked: Duration?
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
            (hasMore || $0.rank < turn.rank || now - $0.since >= Self.fairWait) && couldGo($0, instead: turn)
        }
    }

    /// Whether another, of no lower rank, waits for a turn's place.
    func isContested(_ turn: Turn) -> Bool { line.contains { couldGo($0, instead: turn) } }

    private func couldGo(_ one: Waiting, instead turn: Turn) -> Bool {
        one.peer != turn.peer && one.rank <= turn.rank && mayGo(one.peer, one.rank, instead: turn)
    }

    /// A peer has lost turns. Returns how often lately, this time included.
    mutating func noteLoss(_ peer: PeerID, now: Duration) -> Int { lost.add(1, to: peer, now: now) }

    func servings(of peer: PeerID) -> Int { active.values.count { $0.peer == peer } }

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

    /// Whether there is a place for a peer, or would be if another's turn ended.
    private func mayGo(_ peer: PeerID, _ rank: PeerRank, instead turn: Turn? = nil) -> Bool {
        let own = servings(of: peer)
        func taken(_ isCounted: (PeerRank) -> Bool) -> Int {
            active.values.count { isCounted($0.rank) } - (turn.map { isCounted($0.rank) ? 1 : 0 } ?? 0)
        }
        guard taken({ _ in true }) < Self.places, own < Self.placesPerPeer else { return false }
        guard rank != .member else { return true }
        guard taken({ $0 != .member }) < Self.openPlaces, taken({ $0 == rank }) < Self.placesPerRank else {
            return false
        }
        return rank == .chosen || own == 0 || !line.contains { $0.peer != peer }
    }

    private mutating func begin(_ peer: PeerID, _ rank: PeerRank, _ ticket: Int) {
        active[ticket] = Turn(peer: peer, rank: rank)
        turns[peer, default: 0] += 1
    }

    private mutating func forget(_ peer: PeerID) {
        guard servings(of: peer) == 0 else { return }
        paces[peer] = nil
        if !line.contains(where: { $0.peer == peer }) { turns[peer] = nil }
    }
}
