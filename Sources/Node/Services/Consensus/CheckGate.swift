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

    private struct Waiting {
        let isTrusted: Bool
        let task: CheckedContinuation<Void, Never>
    }

    private var waiting: [Hash: [Waiting]] = [:]
    private var places = SharedPlaces<PeerID>(capacity: taskLimit, perPeer: peerLimit)

    /// Returns once the caller is the only one inside, or at once with false when too many wait.
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

    /// Lets the next one in.
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
