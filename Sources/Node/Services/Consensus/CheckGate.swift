import Collections
import Crypto
import Multiformats
import Reactor

/// Lets in one task at a time for each hash: what several peers bring about one thing is checked one after the other,
/// and the later find it done.
@ReactorActor
final class CheckGate {
    /// Tasks of strangers that wait for one hash at most, tasks in all, and of one peer: beyond, a peer's message is let
    /// go. Honest ones come again. Who is trusted waits before all strangers.
    nonisolated static let waitingLimit = 8
    nonisolated static let taskLimit = 128
    nonisolated static let peerLimit = 16

    private let checks = KeyedMutex<Hash>()
    private var places = SharedPlaces<PeerID>(capacity: taskLimit, perPeer: peerLimit)

    /// Returns once the caller is the only one inside; false, at once, when too many wait, or when the caller is cancelled.
    func enter(_ hash: Hash, by peer: PeerID, isTrusted: Bool) async -> Bool {
        guard isTrusted || checks.waitingCount(for: hash, isUrgent: false) < Self.waitingLimit,
            places.take(peer, isTrusted: isTrusted)
        else { return false }
        if await checks.lock(hash, isUrgent: isTrusted) { return true }
        places.release(peer)
        return false
    }

    /// Lets the next one in.
    func leave(_ hash: Hash, by peer: PeerID) {
        places.release(peer)
        checks.unlock(hash)
    }
}
