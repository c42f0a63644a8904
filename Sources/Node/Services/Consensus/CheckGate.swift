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

    private struct Waiting {
        let isTrusted: Bool
        let task: CheckedContinuation<Void, Never>
    }

    private var waiting: [Hash: [Waiting]] = [:]
    private var places = SharedPlaces<PeerID>(capacity: taskLimit, perPeer: peerLimit)

    /// Returns true once the caller is the only one inside, or false at once if a limit is reached.
    func enter(_ hash: Hash, by peer: PeerID, isTrusted: Bool) async -> Bool {
        let before = waiting[hash]
        let strangers = before?.count { !$0.isTrusted } ?? 0
        guard isTrusted || strangers < Self.waitingLimit, places.take(peer, isTrusted: isTrusted) else {
            return false
        }
        if let before {
            let place = isTrusted ? before.count - strangers : before.count
            await withCheckedContinuation {
                waiting[hash, default: []].insert(Waiting(isTrusted: isTrusted, task: $0), at: place)
            }
        } else {
            waiting[hash] = []
        }
        return true
    }

    /// Admits the next task.
    func leave(_ hash: Hash, by peer: PeerID) {
        places.release(peer)
        guard var others = waiting[hash], !others.isEmpty else {
            waiting[hash] = nil
            return
        }
        let next = others.removeFirst()
        waiting[hash] = others
        next.task.resume()
    }
}
