import Collections
import LibP2P
import Multiformats

/// Keeps score of peers' conduct, and bans those that misbehave too much (docs/peers.md, "Conduct").
///
/// Each offence adds points, which expire one by one. Many points end the connection; more ban the peer, each time for
/// longer. A machine: time comes from outside.
struct PeerConduct {
    /// The time after which one point expires: a hundred take ten minutes.
    static let pointForgiven = Duration.seconds(6)
    /// From this many points on, every offence ends the connection.
    static let disconnecting = 50
    /// At this many points the peer is banned.
    static let banning = 100
    /// The length of the first ban; each further one lasts four times as long as the last.
    static let firstBan = Duration.seconds(120)
    static let longestBan = Duration.seconds(86_400)
    /// The length of every ban of a validator or named peer: a mistake must not cut a validator off.
    static let trustedBan = Duration.seconds(10)
    /// The longest time for which a banned peer's address is refused before the handshake. Addresses change hands.
    static let longestAddressBan = Duration.seconds(3_600)
    /// How long after a ban the next one is still longer.
    static let memory = Duration.seconds(86_400)
    /// The capacity of each table: more than a node can ban in a day. Beyond it, those that end first are dropped.
    static let capacity = 1_024

    /// The consequence of an offence.
    enum Verdict: Equatable {
        case tolerated
        case disconnected
        case banned(Duration)
    }

    private struct Ban {
        var until: Duration
        var count: Int
    }

    private var debts = FadingCounts<PeerID>(forgiven: pointForgiven, capacity: capacity)
    private var bans: OrderedDictionary<PeerID, Ban> = [:]
    private var addresses: OrderedDictionary<IP, Duration> = [:]

    /// Returns the points of an offence.
    static func weight(_ what: Misbehaviour) -> Int {
        switch what {
        case .malformed, .flooding, .stalling: 20
        case .wrongContent: 40
        case .lie: 100
        }
    }

    /// Counts an offence. `ip` is the peer's address, unless other peers are connected from it.
    mutating func report(
        _ peer: PeerID, _ what: Misbehaviour, isTrusted: Bool, ip: IP?, now: Duration
    ) -> Verdict {
        let points = debts.add(Self.weight(what), to: peer, now: now)
        if points >= Self.banning {
            debts.forget(peer)
            return .banned(ban(peer, isTrusted: isTrusted, ip: ip, now: now))
        }
        return points >= Self.disconnecting ? .disconnected : .tolerated
    }

    private mutating func ban(_ peer: PeerID, isTrusted: Bool, ip: IP?, now: Duration) -> Duration {
        var length = Self.trustedBan
        let count = min((bans[peer].map { $0.until + Self.memory > now ? $0.count : 0 } ?? 0) + 1, 16)
        if !isTrusted { length = min(Self.firstBan * (1 << (2 * (count - 1))), Self.longestBan) }
        if bans[peer] == nil { bans.makeRoom(in: Self.capacity, now: now) { $0.until + Self.memory } }
        bans[peer] = Ban(until: now + length, count: count)
        if !isTrusted, let ip, !ip.isLoopback {
            if addresses[ip] == nil { addresses.makeRoom(in: Self.capacity, now: now) { $0 } }
            addresses[ip] = now + min(length, Self.longestAddressBan)
        }
        return length
    }

    /// Returns whether a peer is banned now.
    func isBanned(_ peer: PeerID, now: Duration) -> Bool { bans[peer].map { $0.until > now } ?? false }

    /// Returns whether an address belongs to a banned peer.
    func isBanned(_ ip: IP, now: Duration) -> Bool { addresses[ip].map { $0 > now } ?? false }

    /// Returns a peer's unexpired points.
    func points(of peer: PeerID, now: Duration) -> Int { debts.count(of: peer, now: now) }
}
