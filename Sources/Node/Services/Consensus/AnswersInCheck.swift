import Chain
import Collections
import Crypto
import Multiformats

/// Answers to proposals whose signatures are being checked, by the peer that sent them. An answer above a peer's share
/// is dropped; its validator repeats it while its block is the latest. A machine.
struct AnswersInCheck {
    /// The maximum number of answers, in all and per peer.
    static let capacity = 1_024
    static let perPeer = 512

    /// The same answer arrives directly and by gossip. A forged copy from one peer must not keep out the voter's own.
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

    /// Returns whether to check an answer now. `end` then releases its place.
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
