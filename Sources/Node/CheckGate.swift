import Crypto
import Multiformats
import Reactor

/// Lets in one task at a time for each hash: what several peers bring about one thing is checked one after the other,
/// and the later find it done.
@ReactorActor
final class CheckGate {
    /// Tasks that wait for one hash at most, and hashes at once: beyond, a peer's message is let go. Honest ones come
    /// again.
    nonisolated static let waitingLimit = 8
    nonisolated static let hashLimit = 64
    /// Tasks of one peer that are inside or wait: a peer cannot fill the places with things of its own making.
    nonisolated static let peerLimit = 4

    private var waiting: [Hash: [CheckedContinuation<Void, Never>]] = [:]
    private var perPeer: [PeerID: Int] = [:]

    /// Returns once the caller is the only one inside, or at once with false when too many wait, or too many of `peer`,
    /// which brought the thing.
    func enter(_ hash: Hash, from peer: PeerID) async -> Bool {
        guard perPeer[peer, default: 0] < Self.peerLimit else { return false }
        if let before = waiting[hash] {
            guard before.count < Self.waitingLimit else { return false }
        } else {
            guard waiting.count < Self.hashLimit else { return false }
        }
        perPeer[peer, default: 0] += 1
        guard waiting[hash] != nil else {
            waiting[hash] = []
            return true
        }
        await withCheckedContinuation { waiting[hash, default: []].append($0) }
        return true
    }

    /// Lets the next one in.
    func leave(_ hash: Hash, from peer: PeerID) {
        perPeer[peer] = perPeer[peer].flatMap { $0 > 1 ? $0 - 1 : nil }
        guard var others = waiting[hash], !others.isEmpty else {
            waiting[hash] = nil
            return
        }
        let next = others.removeFirst()
        waiting[hash] = others
        next.resume()
    }
}
