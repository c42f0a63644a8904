import Bytes
import Collections
import Crypto
import LibP2P
import Multiformats

/// Which announced transactions are asked of whom (docs/protocols.md). A machine; bounded whatever peers announce.
///
/// A transaction is asked of one peer at first. If it does not come in two seconds, one more of those who announced it is
/// asked, then two, then four; trusted peers first, strangers in random order, those that let this node down lately last.
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
    /// Of these, to a peer that is doubted.
    static let maxDoubted = 64
    /// Further peers remembered for a transaction.
    static let maxOthers = 8

    /// Who has announced a transaction, and where: `stream` tells the peer's long-lived streams from each other, and is 0 for
    /// a stream of the announcement's own.
    struct Announcer: Equatable {
        let peer: PeerID
        let isTrusted: Bool
        let stream: Int
    }

    /// Somebody is to be asked for a transaction.
    struct Want: Equatable {
        let peer: PeerID
        let stream: Int
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
        let stream: Int
        let since: Duration
        /// Whether the peer has said that it no longer has it. That is no let-down if it comes with a block.
        var isGone = false
    }

    private struct Other {
        let announcer: Announcer
        /// The peer's number in the draw for this transaction: the lowest stay, and are asked first.
        let lot: UInt64
    }

    private enum Arrival {
        case missing
        /// A peer that was asked has sent it.
        case delivered
        /// It came with a block, from a client, or as nobody knows.
        case otherwise
    }

    private struct Request {
        var asked: [Asked] = []
        var others: [Other] = []
        /// Whether it has come. Peers that were asked as well still owe it.
        var arrival = Arrival.missing
        var nextStep: Duration
    }

    private var requests: [Hash: Request] = [:]
    private var places = SharedPlaces<PeerID>(capacity: maxInFlight, perPeer: maxPerPeer)
    /// What each peer is being asked for, in order: one place each.
    private var open: [PeerID: OrderedSet<Hash>] = [:]
    private(set) var deliveries = Deliveries(turn: timeout)
    /// When requests are to be looked at, the soonest first: all wait equally long. Entries of requests that are over are
    /// skipped.
    private var steps: Deque<(id: Hash, at: Duration)> = []
    private let seed: UInt64

    /// - Parameter seed: what the order of strangers follows from; not to be known to them.
    init(seed: UInt64) { self.seed = seed }

    /// Transactions asked for and not yet here.
    private(set) var count = 0

    /// Whether there is nothing to look at.
    var isIdle: Bool { requests.isEmpty && deliveries.isIdle }

    // MARK: Events

    /// Of transactions that a peer announces, those of which it has to be known before `announced` whether this node has
    /// them; none while the peer has no room, for looking is dear.
    func open(_ ids: [Hash], by announcer: Announcer, now: Duration) -> [Hash] {
        let doubts = deliveries.doubts(of: announcer.peer, now: now)
        guard doubts < Deliveries.mostDoubts, hasRoom(announcer, doubts) else { return [] }
        return ids.filter { !isNoted($0, announcer.peer) && !isWaitedFor($0, by: doubts, now) }
    }

    /// A peer has announced transactions. Returns those to ask it for now. `has` tells which this node has; nil for one that
    /// was not open when it was looked.
    mutating func announced(
        _ ids: [Hash], by announcer: Announcer, now: Duration, has: (Hash) -> Bool?
    ) -> [Hash] {
        let doubts = deliveries.doubts(of: announcer.peer, now: now)
        guard doubts < Deliveries.mostDoubts else { return [] }
        let salt = salt(of: announcer.peer)
        var mayAsk = hasRoom(announcer, doubts)
        var wanted: [Hash] = []
        for id in ids where !isNoted(id, announcer.peer) {
            guard mayAsk, !isWaitedFor(id, by: doubts, now) else {
                remember(Other(announcer: announcer, lot: lot(salt, id)), id, now)
                continue
            }
            guard let isHere = has(id) else { continue }
            guard !isHere else {
                came(id)
                continue
            }
            take(announcer, id, now)
            ask(announcer, id, now)
            wanted.append(id)
            mayAsk = hasRoom(announcer, doubts)
        }
        return wanted
    }

    /// A peer has sent the transaction.
    mutating func delivered(_ id: Hash, by peer: PeerID) {
        deliveries.delivered(peer)
        _ = close(id, peer)
        arrived(id, .delivered)
    }

    /// The transaction has come otherwise.
    mutating func came(_ id: Hash) { arrived(id, .otherwise) }

    /// The peer says that it no longer has it. Returns who is to be asked now.
    mutating func gone(_ id: Hash, from peer: PeerID, now: Duration) -> [Want] {
        guard let request = requests[id],
            let index = request.asked.firstIndex(where: { $0.peer == peer && !$0.isGone })
        else { return [] }
        switch request.arrival {
        case .missing: requests[id]?.asked[index].isGone = true
        case .delivered: return undelivered(id, from: peer, now: now)
        case .otherwise: return withdrawn(id, from: peer, now: now)
        }
        return goOn(id, now)
    }

    /// The peer will not deliver it, and that is its doing. Returns who is to be asked now.
    mutating func undelivered(_ id: Hash, from peer: PeerID, now: Duration) -> [Want] {
        guard let asked = close(id, peer) else { return [] }
        deliveries.missed(peer, since: asked.since)
        return goOn(id, now)
    }

    /// The peer was not asked after all, or this node could not take what it sent. Returns who is to be asked now.
    mutating func withdrawn(_ id: Hash, from peer: PeerID, now: Duration) -> [Want] {
        guard close(id, peer) != nil else { return [] }
        return goOn(id, now)
    }

    /// A peer's long-lived stream has ended, which is its doing unless it is excused. Returns what is to be asked for
    /// elsewhere.
    mutating func left(_ peer: PeerID, stream: Int, isExcused: Bool, now: Duration) -> [Want] {
        var again: [Want] = []
        for id in open[peer] ?? [] {
            guard let asked = requests[id]?.asked.first(where: { $0.peer == peer }), asked.stream == stream,
                !asked.isGone
            else { continue }
            again +=
                isExcused
                ? withdrawn(id, from: peer, now: now) : undelivered(id, from: peer, now: now)
        }
        return again
    }

    /// Transactions of which it has to be known before `expire` whether they are here.
    func saidToBeGone(now: Duration) -> [Hash] {
        steps.prefix { $0.at <= now }.map(\.id).filter {
            requests[$0]?.asked.contains(where: \.isGone) ?? false
        }
    }

    /// Looks at what has not come; `doing` is what a peer does now, nil for nothing that this node knows of, and `has` whether
    /// the transaction is here. Returns what is to be asked for elsewhere, and who is to be reported.
    mutating func expire(
        now: Duration, doing: (PeerID) -> Progress?, has: (Hash) -> Bool
    ) -> (again: [Want], stalling: [PeerID]) {
        var again: [Want] = []
        var expired: [(id: Hash, peer: PeerID)] = []
        while let first = steps.first, first.at <= now {
            let (id, at) = steps.removeFirst()
            guard let request = requests[id], request.nextStep == at else { continue }
            for asked in request.asked where Self.isOver(asked, doing(asked.peer), now) {
                if !asked.isGone || !has(id) { deliveries.missed(asked.peer, since: asked.since) }
                requests[id]?.asked.removeAll { $0.peer == asked.peer }
                expired.append((id, asked.peer))
            }
            again += goOn(id, now)
            guard requests[id] != nil else { continue }
            requests[id]?.nextStep = now + Self.step
            steps.append((id, now + Self.step))
        }
        // Not before: who has just let this node down is not to be asked for the next at once.
        for (id, peer) in expired { release(id, peer) }
        return (again, deliveries.endTurns(now: now) { places.count(of: $0) > 0 })
    }

    // MARK: Asking

    private static func isOver(_ asked: Asked, _ doing: Progress?, _ now: Duration) -> Bool {
        switch asked.isGone ? nil : doing {
        case .held: false
        case .arriving: now >= asked.since + longestTimeout
        case nil: now >= asked.since + timeout
        }
    }

    /// Whether it is known already that the peer has the transaction.
    private func isNoted(_ id: Hash, _ peer: PeerID) -> Bool {
        guard let request = requests[id] else { return false }
        return request.asked.contains { $0.peer == peer }
            || request.others.contains { $0.announcer.peer == peer }
    }

    /// Whether a peer with so many doubts is to wait for those that were asked. Nobody waits for those who let this node
    /// down.
    private func isWaitedFor(_ id: Hash, by doubts: Int, _ now: Duration) -> Bool {
        guard let request = requests[id], request.arrival == .missing else { return false }
        let asked = request.asked.filter { !$0.isGone }
        if doubts > 0 { return !asked.isEmpty }
        return asked.contains { deliveries.doubts(of: $0.peer, now: now) == 0 }
    }

    private mutating func ask(_ announcer: Announcer, _ id: Hash, _ now: Duration) {
        if requests[id] == nil {
            requests[id] = Request(nextStep: now + Self.step)
            steps.append((id, now + Self.step))
            count += 1
        } else if requests[id]?.arrival != .missing {
            // It came and was not kept.
            requests[id]?.arrival = .missing
            count += 1
        }
        requests[id]?.asked.append(Asked(peer: announcer.peer, stream: announcer.stream, since: now))
    }

    private mutating func arrived(_ id: Hash, _ arrival: Arrival) {
        guard var request = requests[id] else { return }
        // Who said that it was gone withheld what another has delivered.
        for asked in request.asked where asked.isGone {
            if arrival == .delivered { deliveries.missed(asked.peer, since: asked.since) }
            release(id, asked.peer)
        }
        request.asked.removeAll(where: \.isGone)
        request.others = []
        if request.arrival == .missing {
            request.arrival = arrival
            count -= 1
        }
        requests[id] = request.asked.isEmpty ? nil : request
    }

    /// Asks as many more peers as are being asked, at least one, or gives the transaction up when there is nobody.
    private mutating func goOn(_ id: Hash, _ now: Duration) -> [Want] {
        guard let request = requests[id] else { return [] }
        var wants: [Want] = []
        for _ in 0..<max(1, request.asked.count { !$0.isGone }) where request.arrival == .missing {
            guard let next = popNext(id, now) else { break }
            ask(next, id, now)
            wants.append(Want(peer: next.peer, stream: next.stream, id: id))
        }
        if requests[id]?.asked.isEmpty == true { drop(id) }
        return wants
    }

    private mutating func drop(_ id: Hash) {
        guard let request = requests.removeValue(forKey: id), request.arrival == .missing else { return }
        count -= 1
    }

    // MARK: Places

    /// Whether there is a place for one more question to a peer with so many doubts, if need be that of another with many
    /// more.
    private func hasRoom(_ announcer: Announcer, _ doubts: Int) -> Bool {
        let (peer, isTrusted) = (announcer.peer, announcer.isTrusted)
        guard doubts > 0 else {
            return places.hasRoom(for: peer, isTrusted: isTrusted)
                || places.giver(for: peer, isTrusted: isTrusted) != nil
        }
        return places.count(of: peer) < Self.maxDoubted && places.hasRoom(for: peer, isTrusted: isTrusted)
    }

    /// Takes a place for a question to a peer that has room.
    private mutating func take(_ announcer: Announcer, _ id: Hash, _ now: Duration) {
        let (peer, isTrusted) = (announcer.peer, announcer.isTrusted)
        if !places.take(peer, isTrusted: isTrusted),
            let giver = places.giver(for: peer, isTrusted: isTrusted)
        {
            giveUp(giver)
            places.take(peer, isTrusted: isTrusted, from: giver)
        }
        open[peer, default: []].append(id)
        deliveries.asked(peer, now: now)
    }

    /// Forgets that a peer was asked for the last one, so that another has its place. The next in line is asked in its step.
    private mutating func giveUp(_ peer: PeerID) {
        guard let id = open[peer]?.last else { return }
        forget(id, peer)
        requests[id]?.asked.removeAll { $0.peer == peer }
        guard let request = requests[id], request.asked.isEmpty else { return }
        if request.others.isEmpty || request.arrival != .missing || requests.count > Self.maxInFlight {
            drop(id)
        }
    }

    private mutating func close(_ id: Hash, _ peer: PeerID) -> Asked? {
        guard let index = requests[id]?.asked.firstIndex(where: { $0.peer == peer }) else { return nil }
        release(id, peer)
        return requests[id]?.asked.remove(at: index)
    }

    /// Gives a question's place back, unless it was given to another.
    private mutating func release(_ id: Hash, _ peer: PeerID) {
        if forget(id, peer) { places.release(peer) }
    }

    @discardableResult
    private mutating func forget(_ id: Hash, _ peer: PeerID) -> Bool {
        guard open[peer]?.remove(id) != nil else { return false }
        if open[peer]?.isEmpty == true { open[peer] = nil }
        return true
    }
}

// MARK: - Others

extension TransactionRequests {
    /// Takes a place for the next to ask: of those with room one of the least doubted, trusted ones first.
    private mutating func popNext(_ id: Hash, _ now: Duration) -> Announcer? {
        while let others = requests[id]?.others, !others.isEmpty {
            let ranked = others.enumerated().map { index, other in
                let doubts = deliveries.doubts(of: other.announcer.peer, now: now)
                return (rank: doubts * 2 + (other.announcer.isTrusted ? 0 : 1), lot: other.lot, index: index)
            }
            guard let best = ranked.min(by: { $0 < $1 }), best.rank < 2 * Deliveries.mostDoubts,
                let next = requests[id]?.others.remove(at: best.index).announcer
            else { return nil }
            guard hasRoom(next, best.rank / 2) else { continue }
            take(next, id, now)
            return next
        }
        return nil
    }

    /// Remembers that a peer has a transaction that others are asked for. When there are too many, a trusted peer takes a
    /// stranger's place, one that is not doubted that of one that is; among strangers lots decide. A peer's lot remains what
    /// it is, however often the peer announces and in whatever order they come.
    private mutating func remember(_ other: Other, _ id: Hash, _ now: Duration) {
        guard let request = requests[id], request.arrival == .missing else { return }
        guard request.others.count >= Self.maxOthers else {
            requests[id]?.others.append(other)
            return
        }
        let weights = request.others.map { weight($0, now) }
        guard let worst = weights.indices.max(by: { weights[$0] < weights[$1] }),
            !request.others[worst].announcer.isTrusted, weight(other, now) < weights[worst]
        else { return }
        requests[id]?.others[worst] = other
    }

    /// The heavier goes first.
    private func weight(_ other: Other, _ now: Duration) -> (Int, UInt64) {
        if other.announcer.isTrusted { return (0, 0) }
        return (deliveries.doubts(of: other.announcer.peer, now: now) > 0 ? 2 : 1, other.lot)
    }

    /// What a peer's lots follow from. It cannot tell, nor choose a name that draws well.
    private func salt(of peer: PeerID) -> UInt64 {
        var writer = ByteWriter()
        writer.put(u64: seed)
        writer.put(bytes: peer.bytes)
        return Hash.sha256(of: writer.bytes).firstWord
    }

    private func lot(_ salt: UInt64, _ id: Hash) -> UInt64 {
        var generator = SeededGenerator(seed: salt ^ id.firstWord)
        return generator.next()
    }
}
