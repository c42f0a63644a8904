import Bytes
import Collections
import Crypto
import Multiformats

/// The peers that have announced a transaction and may be asked for it after others. A machine.
///
/// When there are too many, a trusted peer takes a stranger's place, and a peer that is not doubted that of one that is; among
/// strangers lots decide. A peer's lot stays the same, however often the peer announces and in whatever order peers do.
struct OtherAnnouncers {
    /// The most peers remembered for a transaction.
    static let capacity = 8

    private struct Other {
        let announcer: TransactionRequests.Announcer
        /// The peer's number in the draw for this transaction: the lowest stay, and are asked first.
        let lot: UInt64

        /// The heaviest goes first.
        func weight(_ deliveries: Deliveries, _ now: Duration) -> (Int, UInt64) {
            if announcer.isTrusted { return (0, 0) }
            return (deliveries.doubts(of: announcer.peer, now: now) > 0 ? 2 : 1, lot)
        }
    }

    private var others: [Other] = []

    /// Whether there are none.
    var isEmpty: Bool { others.isEmpty }

    /// Whether the peer is among them.
    func contains(_ peer: PeerID) -> Bool { others.contains { $0.announcer.peer == peer } }

    /// Remembers a peer.
    mutating func remember(
        _ announcer: TransactionRequests.Announcer, lot: UInt64, _ deliveries: Deliveries, _ now: Duration
    ) {
        let other = Other(announcer: announcer, lot: lot)
        guard others.count >= Self.capacity else {
            others.append(other)
            return
        }
        let weights = others.map { $0.weight(deliveries, now) }
        guard let worst = weights.indices.max(by: { weights[$0] < weights[$1] }),
            !others[worst].announcer.isTrusted, other.weight(deliveries, now) < weights[worst]
        else { return }
        others[worst] = other
    }

    /// Removes the next to ask, one of the least doubted, trusted peers first; nil when all are doubted too often.
    mutating func removeNext(
        _ deliveries: Deliveries, _ now: Duration
    ) -> (announcer: TransactionRequests.Announcer, doubts: Int)? {
        let ranked = others.enumerated().map { index, other in
            let doubts = deliveries.doubts(of: other.announcer.peer, now: now)
            return (rank: doubts * 2 + (other.announcer.isTrusted ? 0 : 1), lot: other.lot, index: index)
        }
        guard let best = ranked.min(by: { $0 < $1 }), best.rank < 2 * Deliveries.mostDoubts else {
            return nil
        }
        return (others.remove(at: best.index).announcer, best.rank / 2)
    }
}

/// Draws each peer's lot for each transaction. Peers know neither the seed nor, therefore, which names draw well.
struct Lots {
    /// Keep it from peers.
    let seed: UInt64

    /// The number from which all lots of a peer follow.
    func salt(of peer: PeerID) -> UInt64 {
        var writer = ByteWriter()
        writer.put(u64: seed)
        writer.put(bytes: peer.bytes)
        return Hash.sha256(of: writer.bytes).firstWord
    }

    /// A peer's lot for a transaction.
    func lot(_ salt: UInt64, _ id: Hash) -> UInt64 {
        var generator = SeededGenerator(seed: salt ^ id.firstWord)
        return generator.next()
    }
}
