import Crypto
import Reactor

/// Lets in one task at a time for each hash: what several peers bring about one thing is checked one after the other,
/// and the later find it done.
@ReactorActor
final class CheckGate {
    /// Tasks that wait for one hash at most, and hashes at once: beyond, a peer's message is let go. Honest ones come
    /// again.
    nonisolated static let waitingLimit = 8
    nonisolated static let hashLimit = 64

    private var waiting: [Hash: [CheckedContinuation<Void, Never>]] = [:]

    /// Returns once the caller is the only one inside, or at once with false when too many wait.
    func enter(_ hash: Hash) async -> Bool {
        guard let before = waiting[hash] else {
            guard waiting.count < Self.hashLimit else { return false }
            waiting[hash] = []
            return true
        }
        guard before.count < Self.waitingLimit else { return false }
        await withCheckedContinuation { waiting[hash, default: []].append($0) }
        return true
    }

    /// Lets the next one in.
    func leave(_ hash: Hash) {
        guard var others = waiting[hash], !others.isEmpty else {
            waiting[hash] = nil
            return
        }
        let next = others.removeFirst()
        waiting[hash] = others
        next.resume()
    }
}
