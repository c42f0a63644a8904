import Chain
import Collections
import Crypto
import Multiformats

/// Answers to proposals whose signatures are being checked, by whoever brought them. What is beyond a peer's share comes
/// again while its block is the latest. A machine.
struct AnswersInCheck {
    /// Answers in all, and of one peer at most.
    static let capacity = 1_024
    static let perPeer = 512

    /// The same answer comes directly and by gossip; an impostor's must not keep the voter's own out.
    private struct Mark: Hashable {
        let voter: PublicKey
        let block: Hash
        let appHash: Hash?
        let source: PeerID

        init(_ answer: AckRes, from source: PeerID) {
            voter = answer.signature.publicKey
            block = answer.block
            appHash = answer.appHash
            self.source = source
        }
    }

    private var marks: Set<Mark> = []
    private var places = SharedPlaces<PeerID>(capacity: capacity, perPeer: perPeer)

    var count: Int { marks.count }

    /// Whether an answer is to be checked now; `end` gives its place back.
    mutating func begin(_ answer: AckRes, from peer: PeerID, isTrusted: Bool) -> Bool {
        let mark = Mark(answer, from: peer)
        guard !marks.contains(mark), places.take(peer, isTrusted: isTrusted) else { return false }
        marks.insert(mark)
        return true
    }

    mutating func end(_ answer: AckRes, from peer: PeerID) {
        if marks.remove(Mark(answer, from: peer)) != nil { places.release(peer) }
    }
}
