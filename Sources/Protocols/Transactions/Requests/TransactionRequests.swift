import Bytes
import Collections
import Crypto
import LibP2P
import Multiformats

/// Decides which peer to ask for which announced transaction (docs/protocols.md). A machine, bounded whatever peers announce.
///
/// At first one peer is asked for a transaction. If it does not come in two seconds, another of the peers that announced it is
/// asked, then two, then four: trusted peers first, strangers in random order, those that let this node down lately last. A
/// trusted peer that delivers others meanwhile has longer: asking another, too, would only bring the transaction twice.
struct TransactionRequests {
    /// How long a peer that was asked for a transaction may take to deliver it.
    static let timeout = Duration.seconds(10)
    /// The same for a peer from which something is arriving.
    static let longestTimeout = Duration.seconds(30)
    /// How long a transaction is waited for before more peers are asked.
    static let step = Duration.seconds(2)
    /// A trusted peer is delivering if it has sent a transaction in this time.
    static let pace = Duration.seconds(1)
    /// The most open requests.
    static let maxInFlight = 65_536
    /// The most open requests to one peer.
    static let maxPerPeer = 8_192
    /// The most open requests to a peer that is doubted.
    static let maxDoubted = 64

    /// Who has announced a transaction, and where. `stream` is the number of the peer's long-lived stream, or 0 for a stream of
    /// the announcement's own.
    struct Announcer: Equatable {
        let peer: PeerID
        let isTrusted: Bool
        let stream: Int
    }

    /// A transaction for which a peer is to be asked.
    struct Want: Equatable {
        let peer: PeerID
        let stream: Int
        let id: Hash
    }

    /// What a peer that was asked is doing.
    enum Progress {
        /// A transaction is arriving from it.
        case arriving
        /// This node is not reading what the peer sends.
        case held
    }

    private struct Asked {
        let peer: PeerID
        let isTrusted: Bool
        let stream: Int
        let since: Duration
        /// Whether the peer has said that it no longer has it, which is excused if the transaction comes with a block.
        var isGone = false
    }

    private enum Arrival {
        case missing
        /// A peer that was asked has sent the transaction.
        case delivered
        /// The transaction came with a block, from a client, or in an unknown way.
        case otherwise
    }

    private struct Request {
        var asked: [Asked] = []
        var others = OtherAnnouncers()
        /// Whether it has come. Other peers that were asked still owe it.
        var arrival = Arrival.missing
        var nextStep: Duration
    }

    private var requests: [Hash: Request] = [:]
    private var places = SharedPlaces<PeerID>(capacity: maxInFlight, perPeer: maxPerPeer)
    /// What each peer is being asked for, in order. Each entry takes one place.
    private var open: [PeerID: OrderedSet<Hash>] = [:]
    private(set) var deliveries = Deliveries(turn: timeout)
    /// When to look at requests, the soonest first: all wait equally long. Entries of requests that are over are skipped.
    private var steps: Deque<(id: Hash, at: Duration)> = []
    private let lots: Lots

    /// - Parameter seed: determines the order of strangers; keep it from them.
    init(seed: UInt64) { lots = Lots(seed: seed) }

    /// How many requested transactions have not come yet.
    var count: Int { requests.values.count { $0.arrival == .missing } }

    /// How many requests are open, whether the transaction has come or not.
    var openCount: Int { places.count }

    /// Whether there is nothing to look at.
    var isIdle: Bool { requests.isEmpty && deliveries.isIdle }

    /// How many transactions a peer may be asked for now.
    func room(for announcer: Announcer, now: Duration) -> Int {
        let doubts = deliveries.doubts(of: announcer.peer, now: now)
        guard doubts < Deliveries.mostDoubts, hasRoom(announcer, doubts) else { return 0 }
        // Where others must give up places, one is certain.
        let room = max(1, places.room(for: announcer.peer, isTrusted: announcer.isTrusted))
        return doubts > 0 ? min(room, Self.maxDoubted - places.count(of: announcer.peer)) : room
    }

    /// Whether a peer is being asked for anything.
    func isAsking(_ peer: PeerID) -> Bool { places.count(of: peer) > 0 }

    // MARK: Events

    /// Of transactions that a peer announces, those that `announced` needs looked up: whether this node has them. None while the
    /// peer or, with `most` 0, this node has no room, because lookups are expensive.
    func open(_ ids: [Hash], by announcer: Announcer, most: Int, now: Duration) -> [Hash] {
        let doubts = deliveries.doubts(of: announcer.peer, now: now)
        guard most > 0, doubts < Deliveries.mostDoubts, hasRoom(announcer, doubts) else { return [] }
        return ids.filter { !isNoted($0, announcer.peer) && !isWaitedFor($0, by: doubts, now) }
    }

    /// Notes that a peer has announced transactions. Returns at most `most` of them, to be requested from it now, and those
    /// that are left: nobody is asked for them, and the peer has no room for more requests. `has` tells whether this node has
    /// a transaction, and returns nil for one that was not looked up.
    mutating func announced(
        _ ids: [Hash], by announcer: Announcer, most: Int, now: Duration, has: (Hash) -> Bool?
    ) -> (asked: [Hash], left: [Hash]) {
        let doubts = deliveries.doubts(of: announcer.peer, now: now)
        guard doubts < Deliveries.mostDoubts else { return ([], []) }
        let salt = lots.salt(of: announcer.peer)
        var mayAsk = most > 0 && hasRoom(announcer, doubts)
        var (asked, left): ([Hash], [Hash]) = ([], [])
        for id in ids where !isNoted(id, announcer.peer) {
            guard mayAsk, !isWaitedFor(id, by: doubts, now) else {
                if requests[id]?.arrival == .missing {
                    requests[id]?.others.remember(announcer, lot: lots.lot(salt, id), deliveries, now)
                } else {
                    left.append(id)
                }
                continue
            }
            guard let isHere = has(id) else {
                left.append(id)
                continue
            }
            guard !isHere else {
                came(id)
                continue
            }
            take(announcer, id, now)
            ask(announcer, id, now)
            asked.append(id)
            mayAsk = asked.count < most && hasRoom(announcer, doubts)
        }
        return (asked, left)
    }

    /// A peer has sent the transaction.
    mutating func delivered(_ id: Hash, by peer: PeerID, now: Duration) {
        deliveries.delivered(peer, now: now)
        _ = close(id, peer)
        arrived(id, .delivered)
    }

    /// The transaction has come in another way.
    mutating func came(_ id: Hash) { arrived(id, .otherwise) }

    /// The peer says that it no longer has the transaction. Returns whom to ask now.
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

    /// The peer will not deliver the transaction, through its own fault. Returns whom to ask now.
    mutating func undelivered(_ id: Hash, from peer: PeerID, now: Duration) -> [Want] {
        guard let asked = close(id, peer) else { return [] }
        deliveries.missed(peer, since: asked.since)
        return goOn(id, now)
    }

    /// The peer was not asked after all, or this node could not take what it sent. Returns whom to ask now.
    mutating func withdrawn(_ id: Hash, from peer: PeerID, now: Duration) -> [Want] {
        guard close(id, peer) != nil else { return [] }
        return goOn(id, now)
    }

    /// A peer's long-lived stream has ended, through its own fault unless it is excused. Returns what to ask others for.
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

    /// The transactions that `expire` needs looked up: whether they are here.
    func saidToBeGone(now: Duration) -> [Hash] {
        steps.prefix { $0.at <= now }.map(\.id).filter {
            requests[$0]?.asked.contains(where: \.isGone) ?? false
        }
    }

    /// Looks at what has not come. `doing` tells what a peer does now, nil for nothing that this node knows of, and `has` whether
    /// a transaction is here. Returns what to ask others for, and whom to report.
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
            if !isOnItsWay(id, now) { again += goOn(id, now) }
            guard requests[id] != nil else { continue }
            requests[id]?.nextStep = now + Self.step
            steps.append((id, now + Self.step))
        }
        // Not earlier: a peer that has just let this node down must not be asked for the next one at once.
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

    /// Whether a trusted peer that was asked is delivering: it sends transactions in the order in which they were requested.
    private func isOnItsWay(_ id: Hash, _ now: Duration) -> Bool {
        guard let request = requests[id], request.arrival == .missing else { return false }
        return request.asked.contains { asked in
            asked.isTrusted && !asked.isGone && now < asked.since + Self.timeout
                && deliveries.hasDelivered(asked.peer, since: now - Self.pace)
        }
    }

    /// Whether this node knows already that the peer has the transaction.
    private func isNoted(_ id: Hash, _ peer: PeerID) -> Bool {
        guard let request = requests[id] else { return false }
        return request.asked.contains { $0.peer == peer }
            || request.others.contains(peer)
    }

    /// Whether a peer with this many doubts must wait for those that were asked. No peer waits for those that let this node down.
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
        }
        // A transaction that came before was not kept.
        requests[id]?.arrival = .missing
        requests[id]?.asked.append(
            Asked(
                peer: announcer.peer, isTrusted: announcer.isTrusted, stream: announcer.stream, since: now))
    }

    private mutating func arrived(_ id: Hash, _ arrival: Arrival) {
        guard var request = requests[id] else { return }
        // A peer that said it was gone has withheld what another has delivered.
        for asked in request.asked where asked.isGone {
            if arrival == .delivered { deliveries.missed(asked.peer, since: asked.since) }
            release(id, asked.peer)
        }
        request.asked.removeAll(where: \.isGone)
        request.others = OtherAnnouncers()
        if request.arrival == .missing { request.arrival = arrival }
        requests[id] = request.asked.isEmpty ? nil : request
    }

    /// Asks as many more peers as are being asked, at least one. Gives the transaction up if there is none.
    private mutating func goOn(_ id: Hash, _ now: Duration) -> [Want] {
        guard let request = requests[id] else { return [] }
        var wants: [Want] = []
        for _ in 0..<max(1, request.asked.count { !$0.isGone }) where request.arrival == .missing {
            guard let next = popNext(id, now) else { break }
            ask(next, id, now)
            wants.append(Want(peer: next.peer, stream: next.stream, id: id))
        }
        if requests[id]?.asked.isEmpty == true { requests[id] = nil }
        return wants
    }

    /// Takes a place for the next peer to ask of those that have room.
    private mutating func popNext(_ id: Hash, _ now: Duration) -> Announcer? {
        while let (next, doubts) = requests[id]?.others.removeNext(deliveries, now) {
            guard hasRoom(next, doubts) else { continue }
            take(next, id, now)
            return next
        }
        return nil
    }

    // MARK: Places

    /// Whether there is a place for one more request to a peer with this many doubts, if need be one of a peer that has many
    /// more.
    private func hasRoom(_ announcer: Announcer, _ doubts: Int) -> Bool {
        let (peer, isTrusted) = (announcer.peer, announcer.isTrusted)
        guard doubts > 0 else {
            return places.hasRoom(for: peer, isTrusted: isTrusted)
                || places.giver(for: peer, isTrusted: isTrusted) != nil
        }
        return places.count(of: peer) < Self.maxDoubted && places.hasRoom(for: peer, isTrusted: isTrusted)
    }

    /// Takes a place for a request to a peer that has room.
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

    /// Forgets a peer's last request, so that another peer has its place. The next in line is asked at the request's next step.
    private mutating func giveUp(_ peer: PeerID) {
        guard let id = open[peer]?.last else { return }
        forget(id, peer)
        requests[id]?.asked.removeAll { $0.peer == peer }
        guard let request = requests[id], request.asked.isEmpty else { return }
        if request.others.isEmpty || request.arrival != .missing || requests.count > Self.maxInFlight {
            requests[id] = nil
        }
    }

    private mutating func close(_ id: Hash, _ peer: PeerID) -> Asked? {
        guard let index = requests[id]?.asked.firstIndex(where: { $0.peer == peer }) else { return nil }
        release(id, peer)
        return requests[id]?.asked.remove(at: index)
    }

    /// Releases a request's place, unless it was given to another.
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
