import Bytes
import Glibc
import Node
import ServiceManager
import Synchronization

/// Tells the service manager how a start comes along, so that it neither gives up on a long one nor waits for a stuck one.
final class StartReport: Sendable {
    /// How long the manager should wait for the next block. One is read or executed in seconds at most.
    private static let patience = Duration.seconds(120)
    /// The minimum time between two reports.
    private static let interval = Duration.seconds(1)

    private let manager: ServiceManager
    private let next = Mutex(Duration.zero)

    init(_ manager: ServiceManager) { self.manager = manager }

    /// Reports progress, at a modest rate. Safe on any thread.
    func note(_ progress: StartProgress) {
        let now = Duration.now(CLOCK_MONOTONIC_COARSE)
        let isDue = next.withLock { next in
            guard now >= next else { return false }
            next = now + Self.interval
            return true
        }
        if isDue { manager.notify(.status("\(progress)"), .extendTimeout(Self.patience)) }
    }
}
