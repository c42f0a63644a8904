import Reactor
import Synchronization

/// Where a node stands, for those who ask from other loops: what they are told is kept for a moment, so that a crowd of
/// them costs the node's loop a few looks a second and each of them no crossing. Clients read what they have written: a
/// commit or a broadcast ends that moment.
final class NodeSnapshots: Sendable {
    struct Snapshot: Sendable {
        var status: NodeStatus
        var network: NetworkState
    }

    /// How old the numbers may be that change without end: peers, and what the mempool holds.
    static let largestAge = Duration.milliseconds(100)

    private struct Kept {
        var snapshot: Snapshot
        var time: ContinuousClock.Instant
    }

    private let kept = Mutex<Kept?>(nil)

    /// What was kept, or what `take` says on the node's loop `home`. There it is always asked.
    func current(on home: EventLoop, take: @escaping @ReactorActor @Sendable () -> Snapshot) async -> Snapshot
    {
        if let snapshot = known(on: home) { return snapshot }
        return await home.perform {
            let snapshot = take()
            self.kept.withLock { $0 = Kept(snapshot: snapshot, time: .now) }
            return snapshot
        }
    }

    /// From the node's loop: something has changed that those who ask must see.
    func invalidate() { kept.withLock { $0 = nil } }

    /// What was kept. On the node's loop `home`, where what holds now can be told at once, nothing is.
    func known(on home: EventLoop) -> Snapshot? {
        guard EventLoop.current !== home else { return nil }
        return kept.withLock { kept in
            guard let kept, ContinuousClock.now - kept.time < Self.largestAge else { return nil }
            return kept.snapshot
        }
    }
}
