import Multiformats

/// Who is served blocks next: validators and the leader before others, and among those of one rank whoever has had the
/// fewest turns, then who came first. A pure state machine.
struct ServingQueue {
    /// Whose turn comes first.
    enum Rank: Int, Comparable {
        /// A validator, or the leader: the chain waits for it.
        case member
        case other

        static func < (left: Rank, right: Rank) -> Bool { left.rawValue < right.rawValue }
    }

    /// What becomes of one who enters.
    enum Entry: Equatable {
        case serve
        /// `leave` will name its ticket.
        case wait
        case refuse
    }

    /// Servings at once. Each holds at most 1 MiB for its peer, mostly in the mapped log.
    static let places = 16
    /// Places that those who are no members can take: a member finds one free.
    static let openPlaces = 12
    /// Places of one peer.
    static let placesPerPeer = 4
    /// Requests that wait, of all and of one peer.
    static let waiting = 256
    static let waitingPerPeer = 16
    /// How long one may wait before it is told to come back: less than the asker's patience.
    static let longestWait = Duration.seconds(2)
    /// A turn ends after the block it is at when another of the same rank has waited so long.
    static let fairWait = Duration.milliseconds(500)

    private struct Waiting {
        let ticket: Int
        let peer: PeerID
        let rank: Rank
        let since: Duration
    }

    private var line: [Waiting] = []
    /// Turns that go on, by peer, and their ranks.
    private var active: [PeerID: Int] = [:]
    private var members = 0
    private var others = 0
    private var ranks: [PeerID: Rank] = [:]
    /// Turns had, of peers that are served or wait.
    private var turns: [PeerID: Int] = [:]

    /// Servings that go on.
    var activeCount: Int { members + others }
    /// Requests that wait.
    var waitingCount: Int { line.count }

    mutating func enter(_ peer: PeerID, _ rank: Rank, ticket: Int, now: Duration) -> Entry {
        let own = line.reduce(0) { $0 + ($1.peer == peer ? 1 : 0) }
        // Whoever was told to wait goes first, unless it could not go now anyway.
        if own == 0, mayGo(peer, rank), !line.contains(where: { $0.rank <= rank && mayGo($0.peer, $0.rank) })
        {
            begin(peer, rank)
            return .serve
        }
        guard line.count < Self.waiting, own < Self.waitingPerPeer else { return .refuse }
        line.append(Waiting(ticket: ticket, peer: peer, rank: rank, since: now))
        return .wait
    }

    /// A turn is over. Returns the tickets whose turns begin.
    mutating func leave(_ peer: PeerID) -> [Int] {
        guard let count = active[peer], count > 0 else { return [] }
        if ranks[peer] == .member { members -= 1 } else { others -= 1 }
        active[peer] = count > 1 ? count - 1 : nil
        forget(peer)
        return advance()
    }

    /// One that waited does not any more. Returns whether it did.
    mutating func giveUp(_ ticket: Int) -> Bool {
        guard let index = line.firstIndex(where: { $0.ticket == ticket }) else { return false }
        let peer = line.remove(at: index).peer
        forget(peer)
        return true
    }

    /// Whether the peer's turn should end soon for the sake of others.
    func shouldYield(_ peer: PeerID, now: Duration) -> Bool {
        let rank = ranks[peer] ?? .other
        return line.contains {
            $0.peer != peer && ($0.rank < rank || ($0.rank == rank && now - $0.since >= Self.fairWait))
        }
    }

    private mutating func advance() -> [Int] {
        var tickets: [Int] = []
        while let index = next() {
            let one = line.remove(at: index)
            begin(one.peer, one.rank)
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

    private func mayGo(_ peer: PeerID, _ rank: Rank) -> Bool {
        guard activeCount < Self.places, (active[peer] ?? 0) < Self.placesPerPeer else { return false }
        return rank == .member || others < Self.openPlaces
    }

    private mutating func begin(_ peer: PeerID, _ rank: Rank) {
        // The rank of a peer's first turn counts for those beside it, so that the sums stay right.
        let rank = active[peer] == nil ? rank : ranks[peer] ?? rank
        ranks[peer] = rank
        active[peer, default: 0] += 1
        turns[peer, default: 0] += 1
        if rank == .member { members += 1 } else { others += 1 }
    }

    private mutating func forget(_ peer: PeerID) {
        guard active[peer] == nil else { return }
        ranks[peer] = nil
        if !line.contains(where: { $0.peer == peer }) { turns[peer] = nil }
    }
}
