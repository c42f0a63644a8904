import Reactor
import Synchronization

/// Caches the node's status for callers on other loops, so that many of them cost the node's loop a few snapshots per
/// second and most of them no crossing. A commit or a broadcast invalidates the cache, so that clients see what they
/// wrote.
final class NodeSnapshots: Sendable {
    struct Snapshot: Sendable {
        var status: NodeStatus
        var network: NetworkState
    }

    /// The maximum age of a snapshot: peers and mempool change all the time.
    static let largestAge = Duration.milliseconds(100)

    private let kept = Mutex<(snapshot: Snapshot, time: ContinuousClock.Instant)?>(nil)

    /// Returns the cached snapshot, or one taken on the node's loop `home`. On that loop itself, always takes one.
    func current(on home: EventLoop, take: @escaping @ReactorActor @Sendable () -> Snapshot) async -> Snapshot
    {
        if let snapshot = known(on: home) { return snapshot }
        return await home.perform {
            let snapshot = take()
            self.kept.withLock { $0 = (snapshot, .now) }
            return snapshot
        }
    }

    /// Invalidates the cache, because clients must see a change.
    func invalidate() { kept.withLock { $0 = nil } }

    /// Returns the cached snapshot; nil if there is none, or on the node's loop `home`, which can take one at once.
    func known(on home: EventLoop) -> Snapshot? {
        guard EventLoop.current !== home else { return nil }
        return kept.withLock { kept in
            guard let kept, ContinuousClock.now - kept.time < Self.largestAge else { return nil }
            return kept.snapshot
        }
    }
}
