import Collections
import LibP2P
import Multiformats

/// Keeps score of how peers behave, and for how long those who behaved too badly are kept out.
///
/// Every offence weighs some points, which are forgiven one by one; too many at once lead to a disconnection, more to a
/// ban, each longer than the last. A machine: time comes from outside.
struct PeerConduct {
    /// The time after which one point is forgiven: a hundred take ten minutes.
    static let pointForgiven = Duration.seconds(6)
    /// Points from which every further offence ends the connection.
    static let disconnecting = 50
    /// Points at which the peer is banned.
    static let banning = 100
    /// The first ban; each further one is four times as long as the last.
    static let firstBan = Duration.seconds(120)
    static let longestBan = Duration.seconds(86_400)
    /// A peer that the operator named or the chain trusts is kept out for this long only: a mistake must not cut a
    /// validator off.
    static let trustedBan = Duration.seconds(10)
    /// The longest for which the address of a banned peer is refused before any handshake. Addresses change hands.
    static let longestAddressBan = Duration.seconds(3_600)
    /// How long after a ban the peer's next one is still longer than that.
    static let memory = Duration.seconds(86_400)
    /// Peers and addresses in each table: more than a node can be connected with in a day of bans. The entry that ends
    /// first makes room.
    static let capacity = 1_024

    /// What an offence leads to.
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

    /// What an offence weighs.
    static func weight(_ what: Misbehaviour) -> Int {
        switch what {
        case .malformed, .flooding, .stalling: 20
        case .wrongContent: 40
        case .lie: 100
        }
    }

    /// Counts an offence. `ip` is the peer's address if nobody else is to be expected there.
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
        if bans[peer] == nil { Self.makeRoom(&bans, now) { $0.until + Self.memory } }
        bans[peer] = Ban(until: now + length, count: count)
        if !isTrusted, let ip, ip.scope != .loopback {
            if addresses[ip] == nil { Self.makeRoom(&addresses, now) { $0 } }
            addresses[ip] = now + min(length, Self.longestAddressBan)
        }
        return length
    }

    /// Drops entries that are over, and if there is none the one that is over first, when a table is full.
    private static func makeRoom<Key, Value>(
        _ table: inout OrderedDictionary<Key, Value>, _ now: Duration, _ end: (Value) -> Duration
    ) {
        guard table.count >= capacity else { return }
        table.removeAll { end($0.value) <= now }
        guard table.count >= capacity, let first = table.min(by: { end($0.value) < end($1.value) }) else {
            return
        }
        table[first.key] = nil
    }

    /// Whether a peer is banned now.
    func isBanned(_ peer: PeerID, now: Duration) -> Bool { bans[peer].map { $0.until > now } ?? false }

    /// Whether an address is that of a peer banned now.
    func isBanned(_ ip: IP, now: Duration) -> Bool { addresses[ip].map { $0 > now } ?? false }

    /// How bad a peer has been lately, in points.
    func points(of peer: PeerID, now: Duration) -> Int { debts.count(of: peer, now: now) }
}
