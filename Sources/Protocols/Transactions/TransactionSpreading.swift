import Collections
import Crypto
import Multiformats
import Reactor

/// Decides which peer is told first of a long transaction of this node's clients, so that the transaction leaves this node once
/// and the peers pass it on to each other (docs/protocols.md). A machine.
///
/// Peers take turns. The others are told when the first one has had time to pass the transaction on, or does not take it.
struct TransactionSpreading {
    /// How long a peer may take to request a transaction after the last one that it was sent, and then to pass it on.
    static let patience = Duration.seconds(1)
    /// The longest that a peer may take before it is sent a transaction, however many others it is sent meanwhile.
    static let longest = Duration.seconds(10)
    /// The most transactions at once.
    static let capacity = 16_384

    /// Transactions of which only one peer has been told.
    struct Told: Equatable {
        let peer: PeerID
        let ids: [Hash]
    }

    /// What one peer was told first, and when it was told or sent it, the earliest first.
    private struct Share {
        var told: OrderedDictionary<Hash, Duration> = [:]
        var sent: Deque<(id: Hash, at: Duration)> = []
        var lastSent = Duration.zero

        var isEmpty: Bool { told.isEmpty && sent.isEmpty }

        private var firstTold: (id: Hash, due: Duration)? {
            told.first { _ in true }.map {
                ($0.key, min(max($0.value, lastSent) + patience, $0.value + longest))
            }
        }

        private var firstSent: (id: Hash, due: Duration)? { sent.first.map { ($0.id, $0.at + patience) } }

        var deadline: Duration? { [firstTold?.due, firstSent?.due].compactMap { $0 }.min() }

        mutating func popDue(_ now: Duration) -> Hash? {
            if let (id, due) = firstSent, due <= now {
                sent.removeFirst()
                return id
            }
            if let (id, due) = firstTold, due <= now {
                told.removeFirst()
                return id
            }
            return nil
        }
    }

    private var shares: OrderedDictionary<PeerID, Share> = [:]
    private var ids: Set<Hash> = []
    /// Whose turn it is.
    private var turn = 0

    /// How many transactions there are of which only one peer has been told.
    var count: Int { ids.count }

    /// Whether only one peer has been told of a transaction.
    func contains(_ id: Hash) -> Bool { ids.contains(id) }

    /// Distributes new transactions among peers, at least one. Returns nil if there are too many: then all peers are to be told.
    mutating func begin(_ new: [Hash], among peers: [PeerID], now: Duration) -> [Told]? {
        guard !peers.isEmpty, new.count <= Self.capacity - ids.count else { return nil }
        var told: OrderedDictionary<PeerID, [Hash]> = [:]
        for id in new where ids.insert(id).inserted {
            turn = (turn + 1) % peers.count
            shares[peers[turn], default: Share()].told[id] = now
            told[peers[turn], default: []].append(id)
        }
        return told.map { Told(peer: $0.key, ids: $0.value) }
    }

    /// A peer has been sent transactions that it requested.
    mutating func sent(_ ids: [Hash], to peer: PeerID, now: Duration) {
        for id in ids where shares[peer]?.told.removeValue(forKey: id) != nil {
            shares[peer]?.sent.append((id, now))
            shares[peer]?.lastSent = now
        }
    }

    /// A peer has gone. Returns what the others are to be told of now.
    mutating func left(_ peer: PeerID) -> [Hash] {
        guard let share = shares.removeValue(forKey: peer) else { return [] }
        let left = share.sent.map(\.id) + share.told.map(\.key)
        ids.subtract(left)
        return left
    }

    /// When `expire` has something to return; nil for never.
    var deadline: Duration? { shares.compactMap { $0.value.deadline }.min() }

    /// Returns what has been told to one peer for long enough: all others are to be told now.
    mutating func expire(now: Duration) -> [Told] {
        var due: [Told] = []
        for peer in shares.map(\.key) {
            var late: [Hash] = []
            while let id = shares[peer]?.popDue(now) { late.append(id) }
            guard !late.isEmpty else { continue }
            if shares[peer]?.isEmpty == true { shares[peer] = nil }
            ids.subtract(late)
            due.append(Told(peer: peer, ids: late))
        }
        return due
    }
}
