import Chain
import LibP2P
import Multiformats
import Reactor
import TestSupport
import Testing

@testable import Peers

/// A peer planner and the events of a test, with peers known by numbers.
struct PeerScript {
    var planner: PeerPlanner
    var now = Duration.zero

    /// Creates a planner with rules that `change` has set. The node itself is peer 0.
    init(seed: UInt64 = 1, _ change: (inout PeerRules) -> Void = { _ in }) {
        var rules = PeerRules(own: Self.peer(0))
        change(&rules)
        planner = PeerPlanner(rules, seed: seed)
    }

    static func peer(_ number: Int) -> PeerID { .numbered(number) }

    static func number(_ peer: PeerID) -> Int { peer.bytes.suffix(2).reduce(0) { $0 << 8 | Int($1) } }

    /// Returns a public address for a number, in a /16 of its own for the first 256 numbers.
    static func ip(_ number: Int) -> IP? { IP("20.\(number & 255).\(number >> 8 & 255).1") }

    /// Returns an address book entry.
    static func candidate(_ number: Int, verified: Bool = true, ip: IP? = nil) -> PeerPlanner.Candidate {
        PeerPlanner.Candidate(peer: peer(number), isVerified: verified, ip: ip ?? self.ip(number))
    }

    @discardableResult
    mutating func feed(_ event: PeerPlanner.Event) -> [PeerPlanner.Action] {
        var actions: [PeerPlanner.Action] = []
        planner.handle(event, at: Instant(elapsed: now, wallClock: 0), actions: &actions)
        do { try planner.checkInvariants() } catch { Issue.record(error) }
        return actions
    }

    /// Sets the membership.
    @discardableResult
    mutating func become(
        _ role: RoleName, leader: Int?, validators: [Int]
    ) -> [PeerPlanner.Action] {
        feed(
            .membership(role, leader: leader.map(Self.peer), validators: validators.map(Self.peer)))
    }

    /// Connects a peer. Returns whether it was admitted, and which peer was disconnected for it.
    @discardableResult
    mutating func connect(
        _ number: Int, _ direction: Direction = .inbound, ip: IP? = nil, kind: PeerPlanner.Kind = .member
    ) -> Result<Int?, PeerPlanner.Reason> {
        let place = ip ?? Self.ip(number)
        let admission = planner.admits(Self.peer(number), place, direction, now: now)
        guard case .success(let victim) = admission else { return admission.map { _ in nil } }
        if let victim { feed(.disconnected(victim)) }
        feed(.connected(Self.peer(number), direction, place))
        if kind != .unknown { feed(.identified(Self.peer(number), kind)) }
        return .success(victim.map(Self.number))
    }

    /// Lets time pass, and returns the peers that are then dialled.
    mutating func dialled(
        after time: Duration = .seconds(1), _ candidates: [PeerPlanner.Candidate] = []
    ) -> [Int] {
        now += time
        return feed(.tick(candidates)).compactMap {
            if case .dial(let peer, _) = $0 { Self.number(peer) } else { nil }
        }
    }

    /// Returns the peers that these actions disconnect.
    static func leaving(_ actions: [PeerPlanner.Action]) -> [Int] {
        actions.compactMap { if case .disconnect(let peer, _, _) = $0 { number(peer) } else { nil } }
    }

    var connected: [Int] { planner.links.keys.map(Self.number) }
}
