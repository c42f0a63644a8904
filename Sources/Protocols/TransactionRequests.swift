import Collections
import Crypto
import LibP2P
import Multiformats

/// Which announced transactions are asked of whom (docs/protocols.md). A machine; bounded whatever peers announce.
///
/// A transaction is asked of one peer at first. If it does not come in two seconds, one more of those who announced it is
/// asked, then two, then four; trusted peers first, strangers in random order, those that let requests expire lately last.
struct TransactionRequests {
    /// For a transaction's content to arrive once a peer was asked for it.
    static let timeout = Duration.seconds(10)
    /// The same for a peer of which something is arriving.
    static let longestTimeout = Duration.seconds(30)
    /// Until others are asked too, and again each time.
    static let step = Duration.seconds(2)
    /// Questions that are open.
    static let maxInFlight = 65_536
    /// Of these, to one peer.
    static let maxPerPeer = 8_192
    /// Of these, to a peer that let some expire lately.
    static let maxDoubted = 64
    /// Further peers remembered for a transaction.
    static let maxOthers = 8
    /// The time after which a doubt of a peer is forgotten.
    static let doubtForgiven = Duration.seconds(60)
    /// Doubts from which on each is reported, and from which on a peer is not asked at all.
    static let reportedDoubts = 2
    static let mostDoubts = 4
    /// Peers of which doubts are remembered.
    static let doubted = 1_024

    /// Somebody is to be asked for a transaction.
    struct Want: Equatable {
        let peer: PeerID
        let id: Hash
    }

    /// What a peer that was asked is doing.
    enum Progress {
        /// A transaction is arriving from it.
        case arriving
        /// This node is not reading what it sends.
        case held
    }

    private struct Asked {
        let peer: PeerID
        let since: Duration
    }

    private struct Announcer {
        let peer: PeerID
        let isTrusted: Bool
    }

    private struct Request {
        var asked: [Asked]
        var others: [Announcer] = []
        /// Strangers that had to be left out or took another's place among `others`, and those there.
        var strangers = 0
        /// Whether it has come. Peers that were asked as well still owe it.
        var isHere = false
        var nextStep: Duration
    }

    /// How a peer answers in one turn, a time-out's length.
    private struct Turn {
        var end: Duration
        var delivered = 0
        var expired = 0
    }

    private var requests: [Hash: Request] = [:]
    private var places = SharedPlaces<PeerID>(capacity: maxInFlight, perPeer: maxPerPeer)
    /// Of peers that are being asked.
    private var turns: [PeerID: Turn] = [:]
    private var doubts = FadingCounts<PeerID>(forgiven: doubtForgiven, capacity: doubted)
    /// When requests are to be looked at, the soonest first: all wait equally long. Entries of requests that are over are
    /// skipped.
    private var steps: Deque<(id: Hash, at: Duration)> = []
    private var random: SeededGenerator

    /// - Parameter seed: what the order of strangers follows from.
    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    /// Transactions asked for and not yet here.
    private(set) var count = 0

    /// How often a peer has been let down by lately.
    func doubts(of peer: PeerID, now: Duration) -> Int { doubts.count(of: peer, now: now) }

    // MARK: Events

    /// A peer has announced transactions that this node does not have. Returns those to ask it for now.
    mutating func announced(_ ids: [Hash], by peer: PeerID, isTrusted: Bool, now: Duration) -> [Hash] {
        let doubts = doubts.count(of: peer, now: now)
        guard doubts < Self.mostDoubts else { return [] }
        let announcer = Announcer(peer: peer, isTrusted: isTrusted)
        var wanted: [Hash] = []
        for id in ids {
            guard var request = requests[id] else {
                guard take(announcer, now) else { continue }
                requests[id] = Request(asked: [Asked(peer: peer, since: now)], nextStep: now + Self.step)
                steps.append((id, now + Self.step))
                count += 1
                wanted.append(id)
                continue
            }
            guard !request.asked.contains(where: { $0.peer == peer }),
                !request.others.contains(where: { $0.peer == peer })
            else { continue }
            // Nobody waits for those who let this node down.
            let isHopeless = request.asked.allSatisfy { self.doubts.count(of: $0.peer, now: now) > 0 }
            if request.isHere || doubts == 0 && isHopeless, take(announcer, now) {
                request.asked.append(Asked(peer: peer, since: now))
                wanted.append(id)
                // It came and was not kept.
                if request.isHere { count += 1 }
                request.isHere = false
            } else {
                remember(announcer, &request, now)
            }
            requests[id] = request
        }
        return wanted
    }

    /// The transaction has come, from a peer or otherwise.
    mutating func received(_ id: Hash, from peer: PeerID? = nil) {
        if let peer { turns[peer]?.delivered += 1 }
        guard var request = requests[id] else { return }
        if let index = request.asked.firstIndex(where: { $0.peer == peer }) {
            request.asked.remove(at: index)
            if let peer { release(peer) }
        }
        request.others = []
        if !request.isHere { count -= 1 }
        request.isHere = true
        requests[id] = request.asked.isEmpty ? nil : request
    }

    /// The peer no longer has it. Returns who is to be asked now.
    mutating func gone(_ id: Hash, from peer: PeerID, now: Duration) -> [Want] {
        guard var request = requests[id], let index = request.asked.firstIndex(where: { $0.peer == peer })
        else { return [] }
        request.asked.remove(at: index)
        release(peer)
        return goOn(id, &request, now)
    }

    /// The peer's stream has ended. Returns what is to be asked for elsewhere, in an order that depends on nothing
    /// but the identifiers.
    mutating func left(_ peer: PeerID, now: Duration) -> [Want] {
        guard places.count(of: peer) > 0 else { return [] }
        var again: [Want] = []
        for id in requests.filter({ $0.value.asked.contains { $0.peer == peer } }).keys.sorted() {
            again += gone(id, from: peer, now: now)
        }
        return again
    }

    /// Looks at what has not come; `doing` is what a peer does now, nil for nothing that this node knows of. Returns what is
    /// to be asked for elsewhere, and who is to be reported.
    mutating func expire(
        now: Duration, doing: (PeerID) -> Progress? = { _ in nil }
    ) -> (again: [Want], stalling: [PeerID]) {
        var again: [Want] = []
        var expired: [PeerID] = []
        while let first = steps.first, first.at <= now {
            let (id, at) = steps.removeFirst()
            guard var request = requests[id], request.nextStep == at else { continue }
            let over = request.asked.filter { Self.isOver($0, doing($0.peer), now) }.map(\.peer)
            for peer in over { turns[peer]?.expired += 1 }
            request.asked.removeAll { over.contains($0.peer) }
            expired += over
            again += goOn(id, &request, now)
            guard requests[id] != nil else { continue }
            requests[id]?.nextStep = now + Self.step
            steps.append((id, now + Self.step))
        }
        let stalling = Array(OrderedSet(expired)).filter { judge($0, now) }
        for peer in expired { release(peer) }
        return (again, stalling)
    }

    /// Ends a peer's turn if it is over. A peer that let more requests expire in it than it answered is doubted: once a
    /// turn, however many requests a single stall makes late. Returns whether that is to be reported.
    private mutating func judge(_ peer: PeerID, _ now: Duration) -> Bool {
        guard let turn = turns[peer], now >= turn.end else { return false }
        turns[peer] = Turn(end: now + Self.timeout)
        guard turn.expired > turn.delivered else { return false }
        return doubts.add(1, to: peer, now: now) >= Self.reportedDoubts
    }

    // MARK: Asking

    private static func isOver(_ asked: Asked, _ doing: Progress?, _ now: Duration) -> Bool {
        switch doing {
        case .held: false
        case .arriving: now >= asked.since + longestTimeout
        case nil: now >= asked.since + timeout
        }
    }

    /// Takes a place for a question to a peer; false when it has none left.
    private mutating func take(_ announcer: Announcer, _ now: Duration) -> Bool {
        let peer = announcer.peer
        let mayHave = doubts.count(of: peer, now: now) > 0 ? Self.maxDoubted : Self.maxPerPeer
        guard places.count(of: peer) < mayHave, places.take(peer, isTrusted: announcer.isTrusted) else {
            return false
        }
        if turns[peer] == nil { turns[peer] = Turn(end: now + Self.timeout) }
        return true
    }

    private mutating func release(_ peer: PeerID) {
        places.release(peer)
        if places.count(of: peer) == 0 { turns[peer] = nil }
    }

    /// Asks as many more peers as are being asked, at least one, or gives the transaction up when there is nobody.
    private mutating func goOn(_ id: Hash, _ request: inout Request, _ now: Duration) -> [Want] {
        var wants: [Want] = []
        for _ in 0..<max(1, request.asked.count) where !request.isHere {
            guard let next = popNext(&request, now) else { break }
            request.asked.append(Asked(peer: next.peer, since: now))
            wants.append(Want(peer: next.peer, id: id))
        }
        if request.asked.isEmpty, !request.isHere { count -= 1 }
        requests[id] = request.asked.isEmpty ? nil : request
        return wants
    }

    /// Takes a place for the next to ask: of those with room one of the least doubted, trusted ones first, strangers at
    /// random.
    private mutating func popNext(_ request: inout Request, _ now: Duration) -> Announcer? {
        while !request.others.isEmpty {
            let ranks = request.others.map { other in
                doubts.count(of: other.peer, now: now) * 2 + (other.isTrusted ? 0 : 1)
            }
            guard let best = ranks.min(), best < 2 * Self.mostDoubts else { return nil }
            let candidates = ranks.indices.filter { ranks[$0] == best }
            guard let index = candidates.randomElement(using: &random) else { return nil }
            let next = request.others.remove(at: index)
            if take(next, now) { return next }
        }
        return nil
    }

    /// Remembers that a peer has a transaction that others are asked for. When there are too many, a trusted peer takes a
    /// stranger's place, one that delivers that of one that does not; among strangers chance decides, each being as likely
    /// to stay as any other, in whatever order they came.
    private mutating func remember(_ announcer: Announcer, _ request: inout Request, _ now: Duration) {
        if !announcer.isTrusted { request.strangers += 1 }
        guard request.others.count >= Self.maxOthers else { return request.others.append(announcer) }
        let strangers = request.others.indices.filter { !request.others[$0].isTrusted }
        let doubted = strangers.filter { doubts.count(of: request.others[$0].peer, now: now) > 0 }
        guard let victim = (doubted.isEmpty ? strangers : doubted).randomElement(using: &random) else {
            return
        }
        let isBetter = announcer.isTrusted || !doubted.isEmpty
        guard isBetter || Int.random(in: 0..<request.strangers, using: &random) < strangers.count else {
            return
        }
        request.others[victim] = announcer
    }
}
