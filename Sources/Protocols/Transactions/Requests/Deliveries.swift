import Collections
import Multiformats

/// Judges which peers deliver what they are asked for, and which let this node down (docs/protocols.md). A machine.
///
/// What a peer delivers and what it misses is counted in turns. A peer that misses more in a turn than it delivers is doubted,
/// but only once for all requests that a single stall delays: in the turn after a doubt, earlier requests do not count.
struct Deliveries {
    /// The time after which a doubt of a peer is forgotten.
    static let doubtForgiven = Duration.seconds(60)
    /// The number of doubts from which each is reported, and the number from which a peer is not asked at all.
    static let reportedDoubts = 2
    static let mostDoubts = 4
    /// The most peers whose doubts are remembered.
    static let doubted = 1_024

    private struct Turn {
        let end: Duration
        /// Earlier requests do not count.
        var since = Duration.zero
        var delivered = 0
        var missed = 0
        /// When the peer last delivered anything.
        var latest: Duration?
    }

    /// A turn's length.
    private let length: Duration
    /// The turns of peers that are being asked, or were when their turn began.
    private var turns: [PeerID: Turn] = [:]
    private var doubts = FadingCounts<PeerID>(forgiven: doubtForgiven, capacity: doubted)

    init(turn length: Duration) { self.length = length }

    /// Whether no turn is under way, so that there is nothing to judge.
    var isIdle: Bool { turns.isEmpty }

    /// How often a peer has let this node down lately.
    func doubts(of peer: PeerID, now: Duration) -> Int { doubts.count(of: peer, now: now) }

    /// A peer is being asked for something.
    mutating func asked(_ peer: PeerID, now: Duration) {
        if turns[peer] == nil { turns[peer] = Turn(end: now + length) }
    }

    /// A peer has sent what it was asked for.
    mutating func delivered(_ peer: PeerID, now: Duration) {
        turns[peer]?.delivered += 1
        turns[peer]?.latest = now
    }

    /// Whether a peer that is being asked has delivered anything since a time.
    func hasDelivered(_ peer: PeerID, since: Duration) -> Bool {
        turns[peer]?.latest.map { $0 >= since } ?? false
    }

    /// A peer has not sent what it was asked for at `since`.
    mutating func missed(_ peer: PeerID, since: Duration) {
        guard let turn = turns[peer], since >= turn.since else { return }
        turns[peer]?.missed += 1
    }

    /// Judges the peers whose turn is over. Another turn begins for those for which `isAsked` is true. Returns whom to report.
    mutating func endTurns(now: Duration, isAsked: (PeerID) -> Bool) -> [PeerID] {
        var reported: [PeerID] = []
        for (peer, turn) in turns where now >= turn.end {
            let isDoubted = turn.missed > turn.delivered
            let next = Turn(end: now + length, since: isDoubted ? now : .zero, latest: turn.latest)
            turns[peer] = isAsked(peer) ? next : nil
            if isDoubted, doubts.add(1, to: peer, now: now) >= Self.reportedDoubts { reported.append(peer) }
        }
        // The table's order differs between processes.
        return reported.sorted()
    }
}
