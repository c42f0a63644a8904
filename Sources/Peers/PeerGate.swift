import LibP2P
import Log
import Multiformats
import Reactor

/// Asks the peer planner which connections the host may make, and which peers it trusts (docs/peers.md).
@ReactorActor
package final class PeerGate: ConnectionGater {
    /// The planner, whose actions the peer service performs.
    let driver: ReactorMachineDriver<PeerPlanner>
    private let log: Log

    /// Creates the gate of a host. For `wallClock` and `onBrokenInvariant` see `MachineDriver`.
    package init(
        rules: PeerRules, log: Log, wallClock: @escaping @Sendable () -> UInt64,
        onBrokenInvariant: (@ReactorActor @Sendable (BrokenInvariant) -> Void)?
    ) {
        self.log = log
        driver = ReactorMachineDriver(
            PeerPlanner(rules, seed: Reactor.random()), wallClock: wallClock,
            onBrokenInvariant: onBrokenInvariant)
    }

    package func admits(_ candidate: ConnectionCandidate) -> Bool {
        let ip = candidate.address?.ip
        guard let peer = candidate.peer else { return driver.machine.admits(ip, now: Reactor.now) }
        let verdict = driver.ask { planner, now, actions in
            let verdict = planner.admits(peer, ip, candidate.direction, now: now.elapsed)
            if candidate.isProven, case .success(let victim?) = verdict {
                actions.append(.disconnect(victim, .room))
            }
            return verdict
        }
        guard case .failure(let reason) = verdict else { return true }
        log.debug("connection refused", ["peer": .of(peer), "reason": .text(reason.rawValue)])
        return false
    }

    package func isTrusted(_ peer: PeerID) -> Bool { driver.machine.standing(of: peer) != .stranger }
}
