import Crypto
import Multiformats

/// Which announced transactions are being fetched from whom: each from one peer at a time, from the next that
/// announced it when the first does not deliver. A machine; bounded whatever peers announce.
struct TransactionRequests {
    /// For a transaction's content to arrive once asked for.
    static let timeout = Duration.seconds(10)
    /// Transactions asked for and not yet here.
    static let maxInFlight = 65_536
    /// Of these, from one peer.
    static let maxPerPeer = 8_192
    /// Further peers remembered for a transaction.
    static let maxOthers = 4

    private struct Request {
        var peer: PeerID
        var deadline: Duration
        var others: [PeerID] = []
    }

    private var requests: [Hash: Request] = [:]
    private var perPeer: [PeerID: Int] = [:]
    /// In the order of their deadlines, which are equally far away when they are set. What has been answered or
    /// asked for again is skipped.
    private var deadlines: [(id: Hash, deadline: Duration)] = []
    private var firstDeadline = 0

    /// Transactions asked for and not yet here.
    var count: Int { requests.count }

    /// A peer has announced transactions that this node does not have. Returns those to ask it for now.
    mutating func announced(_ ids: [Hash], by peer: PeerID, now: Duration) -> [Hash] {
        var wanted: [Hash] = []
        for id in ids {
            if let request = requests[id] {
                if request.peer != peer, request.others.count < Self.maxOthers, !request.others.contains(peer)
                {
                    requests[id]?.others.append(peer)
                }
                continue
            }
            guard requests.count < Self.maxInFlight, perPeer[peer, default: 0] < Self.maxPerPeer else {
                continue
            }
            ask(id, peer, [], now)
            wanted.append(id)
        }
        return wanted
    }

    /// The transaction has come, from whomever.
    mutating func received(_ id: Hash) {
        if let request = requests.removeValue(forKey: id) { release(request.peer) }
    }

    /// The peer no longer has it. Returns who is to be asked now.
    mutating func gone(_ id: Hash, from peer: PeerID, now: Duration) -> PeerID? {
        guard let request = requests[id], request.peer == peer else { return nil }
        return askNext(id, request, now)
    }

    /// The peer's stream has ended. Returns what is to be asked for elsewhere, in an order that depends on nothing
    /// but the identifiers.
    mutating func left(_ peer: PeerID, now: Duration) -> [(peer: PeerID, id: Hash)] {
        var again: [(peer: PeerID, id: Hash)] = []
        guard perPeer[peer] != nil else { return [] }
        for (id, request) in requests.filter({ $0.value.peer == peer }).sorted(by: { $0.key < $1.key }) {
            if let next = askNext(id, request, now) { again.append((next, id)) }
        }
        return again
    }

    /// Gives up waiting for what is late. Returns what is to be asked for elsewhere.
    mutating func expire(now: Duration) -> [(peer: PeerID, id: Hash)] {
        var again: [(peer: PeerID, id: Hash)] = []
        while firstDeadline < deadlines.count, deadlines[firstDeadline].deadline <= now {
            let (id, deadline) = deadlines[firstDeadline]
            firstDeadline &+= 1
            guard let request = requests[id], request.deadline == deadline else { continue }
            if let next = askNext(id, request, now) { again.append((next, id)) }
        }
        if firstDeadline > 1024, firstDeadline > deadlines.count / 2 {
            deadlines.removeFirst(firstDeadline)
            firstDeadline = 0
        }
        return again
    }

    private mutating func askNext(_ id: Hash, _ request: Request, _ now: Duration) -> PeerID? {
        release(request.peer)
        requests[id] = nil
        guard let next = request.others.first else { return nil }
        ask(id, next, Array(request.others.dropFirst()), now)
        return next
    }

    private mutating func ask(_ id: Hash, _ peer: PeerID, _ others: [PeerID], _ now: Duration) {
        let deadline = now + Self.timeout
        requests[id] = Request(peer: peer, deadline: deadline, others: others)
        perPeer[peer, default: 0] &+= 1
        deadlines.append((id, deadline))
    }

    private mutating func release(_ peer: PeerID) {
        guard let count = perPeer[peer] else { return }
        perPeer[peer] = count > 1 ? count &- 1 : nil
    }
}
