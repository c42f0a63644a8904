import Collections
import Crypto
import Multiformats
import Reactor

/// Admits one task at a time for each hash: when several peers send the same thing, it is checked once, and the later
/// tasks find it done.
@ReactorActor
final class CheckGate {
    /// The maximum number of strangers' tasks that wait for one hash, of all tasks, and of one peer's tasks. A message
    /// above these limits is dropped, and honest peers repeat it. Tasks of trusted peers wait ahead of strangers'.
    nonisolated static let waitingLimit = 8
    nonisolated static let taskLimit = 128
    nonisolated static let peerLimit = 16

    private let checks = KeyedMutex<Hash>()
    private var places = SharedPlaces<PeerID>(capacity: taskLimit, perPeer: peerLimit)

    /// Returns true once the caller is the only one inside, or false at once if a limit is reached or the caller is
    /// cancelled.
    func enter(_ hash: Hash, by peer: PeerID, isTrusted: Bool) async -> Bool {
        guard isTrusted || checks.waitingCount(for: hash, isUrgent: false) < Self.waitingLimit,
            places.take(peer, isTrusted: isTrusted)
        else { return false }
        if await checks.lock(hash, isUrgent: isTrusted) { return true }
        places.release(peer)
        return false
    }

    /// Admits the next task.
    func leave(_ hash: Hash, by peer: PeerID) {
        places.release(peer)
        checks.unlock(hash)
    }
}
