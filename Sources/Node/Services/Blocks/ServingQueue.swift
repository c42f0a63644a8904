import Collections
import Multiformats
import Peers

/// Which peer is served blocks next: validators and the leader first, then chosen peers, then strangers; within a rank
/// the peer with the fewest turns, then the one that came first. A peer that does not read loses its turn
/// (`ServingQueue+Pace.swift`). A machine.
struct ServingQueue {
    /// The answer to a request.
    enum Entry: Equatable {
        case serve
        /// `leave` will return its ticket.
        case wait
        case refuse
    }

    /// The maximum number of turns at once. Each holds at most 1 MiB for its peer, mostly in the mapped log.
    static let places = 16
    /// The maximum number of places for all but members together, and for one rank of them. A member always finds a
    /// place, and neither strangers nor chosen peers can take all of the rest.
    static let openPlaces = 12
    static let placesPerRank = 8
    /// The maximum number of places per peer. While others wait, a stranger gets no second one, and gives up those
    /// beyond one after their current blocks, or at once if it does not read.
    static let placesPerPeer = 4
    /// The maximum number of waiting requests: of all peers, of each rank, and of one peer of that rank. Strangers
    /// cannot fill the queue.
    static let waiting = 256
    static func waiting(of rank: PeerRank) -> (all: Int, peer: Int) {
        switch rank {
        case .member: (waiting, 16)
        case .chosen: (96, 16)
        case .stranger: (96, 4)
        }
    }
    /// How long a request may wait before the answer is "busy": less than the asking node's patience.
    static let longestWait = Duration.seconds(2)
    /// A turn ends after its current block when another request of the same rank has waited this long.
    static let fairWait = Duration.milliseconds(500)
    /// The time after which a lost turn is forgiven, and the number of peers remembered.
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
        /// The bytes taken by the last check, and when they last increased.
        var taken = 0
        var moved: Duration?
        /// Whether the peer's first window was full.
        var hasFilled = false
        /// How long others have waited for its place, and the bytes taken meanwhile.
        var contested = Duration.zero
        var takenContested = 0
    }

    private var line: [Waiting] = []
    /// The current turns, by ticket.
    var active: OrderedDictionary<Int, Turn> = [:]
    /// The number of turns that each served or waiting peer has had.
    private var turns: [PeerID: Int] = [:]
    /// The progress of served peers.
    var paces: [PeerID: Pace] = [:]
    /// When progress was last checked.
    var looked: Duration?
    private var lost = FadingCounts<PeerID>(forgiven: forgiven, capacity: remembered)

    /// The number of current turns.
    var activeCount: Int { active.count }
    /// The number of waiting requests.
    var waitingCount: Int { line.count }

    mutating func enter(_ peer: PeerID, _ rank: PeerRank, ticket: Int, now: Duration) -> Entry {
        let own = line.count { $0.peer == peer }
        // Waiting requests go first, except those that could not go now.
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

    /// Ends a turn. Returns the tickets whose turns begin.
    mutating func leave(_ ticket: Int) -> [Int] {
        guard let turn = active.removeValue(forKey: ticket) else { return [] }
        forget(turn.peer)
        return advance()
    }

    /// Removes a waiting request. Returns whether it was waiting.
    mutating func giveUp(_ ticket: Int) -> Bool {
        guard let index = line.firstIndex(where: { $0.ticket == ticket }) else { return false }
        let peer = line.remove(at: index).peer
        forget(peer)
        return true
    }

    /// Returns whether a turn should end soon because others wait.
    func shouldYield(_ ticket: Int, now: Duration) -> Bool {
        guard let turn = active[ticket] else { return true }
        let hasMore = turn.rank == .stranger && servings(of: turn.peer) > 1
        return line.contains {
            (hasMore || $0.rank < turn.rank || now - $0.since >= Self.fairWait) && couldGo($0, instead: turn)
        }
    }

    /// Returns whether a request of equal or higher rank waits for a turn's place.
    func isContested(_ turn: Turn) -> Bool { line.contains { couldGo($0, instead: turn) } }

    private func couldGo(_ one: Waiting, instead turn: Turn) -> Bool {
        one.peer != turn.peer && one.rank <= turn.rank && mayGo(one.peer, one.rank, instead: turn)
    }

    /// Notes that a peer has lost turns. Returns how often it has lately, including this time.
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

    /// Returns whether there is a place for a peer, or would be if `turn` ended.
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
