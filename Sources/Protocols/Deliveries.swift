import Collections
import Multiformats

/// Which peers deliver what they are asked for, and which let this node down (docs/protocols.md). A machine.
///
/// What a peer delivers and what it misses is counted in turns. One that misses more in a turn than it delivers is doubted:
/// once, however many requests a single stall makes late: in the turn after a doubt, what was asked for before does not
/// count.
struct Deliveries {
    /// The time after which a doubt of a peer is forgotten.
    static let doubtForgiven = Duration.seconds(60)
    /// Doubts from which on each is reported, and from which on a peer is not asked at all.
    static let reportedDoubts = 2
    static let mostDoubts = 4
    /// Peers of which doubts are remembered.
    static let doubted = 1_024

    private struct Turn {
        let end: Duration
        /// What was asked for before does not count.
        var since = Duration.zero
        var delivered = 0
        var missed = 0
    }

    /// A turn's length.
    private let length: Duration
    /// Of peers that are being asked, or were when their turn began.
    private var turns: [PeerID: Turn] = [:]
    private var doubts = FadingCounts<PeerID>(forgiven: doubtForgiven, capacity: doubted)

    init(turn length: Duration) { self.length = length }

    /// Whether no turn is under way: there is nothing to judge.
    var isIdle: Bool { turns.isEmpty }

    /// How often a peer has let this node down lately.
    func doubts(of peer: PeerID, now: Duration) -> Int { doubts.count(of: peer, now: now) }

    /// A peer is being asked for something.
    mutating func asked(_ peer: PeerID, now: Duration) {
        if turns[peer] == nil { turns[peer] = Turn(end: now + length) }
    }

    /// A peer has sent what it was asked for.
    mutating func delivered(_ peer: PeerID) { turns[peer]?.delivered += 1 }

    /// A peer has not sent what it was asked for at `since`.
    mutating func missed(_ peer: PeerID, since: Duration) {
        guard let turn = turns[peer], since >= turn.since else { return }
        turns[peer]?.missed += 1
    }

    /// Judges the peers whose turn is over. Another begins for those that `isAsked` tells of. Returns who is to be reported.
    mutating func endTurns(now: Duration, isAsked: (PeerID) -> Bool) -> [PeerID] {
        var reported: [PeerID] = []
        for (peer, turn) in turns where now >= turn.end {
            let isDoubted = turn.missed > turn.delivered
            let next = Turn(end: now + length, since: isDoubted ? now : .zero)
            turns[peer] = isAsked(peer) ? next : nil
            if isDoubted, doubts.add(1, to: peer, now: now) >= Self.reportedDoubts { reported.append(peer) }
        }
        // The table's order is another in each process.
        return reported.sorted()
    }
}
