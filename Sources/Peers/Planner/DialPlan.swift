import Collections
import LibP2P
import Multiformats

/// When each peer may be dialled again: the backoff grows with every failure, with jitter, so that nodes that lost the
/// same peer do not all return at once.
///
/// A machine: time and random numbers come from outside.
struct DialPlan {
    /// The backoff after the first failure, and after a connection that ended soon.
    static let shortest = Duration.seconds(1)
    /// The longest backoff for a peer to keep connected.
    static let longestWanted = Duration.seconds(30)
    /// The longest backoff for any other peer.
    static let longest = Duration.seconds(600)
    /// A shorter connection counts as a failure, because the peer did not want it.
    static let lasting = Duration.seconds(10)
    /// A peer is dead after this many consecutive failures, over at least `deadlyTime`.
    static let deadlyFailures = 10
    static let deadlyTime = Duration.seconds(3_600)
    /// The maximum number of peers: the address book's. A new one replaces the peer that is due first.
    static let capacity = PeerStore.maximumPeers

    /// The backoff after a connection with a peer that is of no use until an operator changes something.
    static let avoided = Duration.seconds(600)

    private struct Entry {
        var failures: Int
        var since: Duration
        var last: Duration
        var due: Duration
        var lacksAddress = false
        var isAvoided = false
    }

    private var entries: OrderedDictionary<PeerID, Entry> = [:]
    /// Peers being dialled now.
    private(set) var running: OrderedSet<PeerID> = []

    /// Returns whether a peer may be dialled now. A peer that becomes wanted during a long backoff need not finish it.
    func isDue(_ peer: PeerID, isWanted: Bool, now: Duration) -> Bool {
        guard !running.contains(peer) else { return false }
        guard let entry = entries[peer] else { return true }
        return now
            >= (isWanted && !entry.isAvoided ? min(entry.due, entry.last + Self.longestWanted) : entry.due)
    }

    /// Notes that a dial begins.
    mutating func begin(_ peer: PeerID) { running.append(peer) }

    /// Notes that a dial succeeded. Its failures are forgotten once the connection has lasted.
    mutating func succeeded(_ peer: PeerID) { running.remove(peer) }

    /// Notes that a dial failed. `isWanted` is true for a peer to keep connected.
    mutating func failed(
        _ peer: PeerID, lacksAddress: Bool = false, isWanted: Bool, now: Duration,
        _ random: inout SeededGenerator
    ) {
        running.remove(peer)
        postpone(peer, failures: failures(of: peer) + 1, isWanted, now, &random)
        entries[peer]?.lacksAddress = lacksAddress
    }

    /// Notes that a connection ended after `time`. A connection that lasted was no failure, and the peer is dialled
    /// again soon.
    mutating func ended(
        _ peer: PeerID, after time: Duration, isWanted: Bool, now: Duration, _ random: inout SeededGenerator
    ) {
        let failures = time >= Self.lasting ? 0 : failures(of: peer) + 1
        postpone(peer, failures: failures, isWanted, now, &random)
    }

    /// Notes that a connection ended with a peer that is of no use. Even a wanted peer is then not dialled for long.
    mutating func avoid(_ peer: PeerID, now: Duration) {
        makeRoom(for: peer)
        entries[peer] = Entry(
            failures: 0, since: now, last: now, due: now + Self.avoided, isAvoided: true)
    }

    /// Starts a backoff, shortened at random by up to half.
    private mutating func postpone(
        _ peer: PeerID, failures: Int, _ isWanted: Bool, _ now: Duration, _ random: inout SeededGenerator
    ) {
        makeRoom(for: peer)
        let longest = isWanted ? Self.longestWanted : Self.longest
        let wait = Duration.backoff(failures, from: Self.shortest, to: longest, random.next())
        let since = failures > 1 ? entries[peer]?.since ?? now : now
        entries[peer] = Entry(failures: min(failures, 1_000), since: since, last: now, due: now + wait)
    }

    /// Notes that an address of the peer has become known.
    mutating func learned(_ peer: PeerID, now: Duration) {
        guard entries[peer]?.lacksAddress == true else { return }
        entries[peer] = nil
    }

    /// Returns whether the peer has failed for so long that it should be forgotten.
    func isDead(_ peer: PeerID, now: Duration) -> Bool {
        guard let entry = entries[peer] else { return false }
        return entry.failures >= Self.deadlyFailures && now - entry.since >= Self.deadlyTime
    }

    /// Forgets a peer.
    mutating func forget(_ peer: PeerID) { entries[peer] = nil }

    /// Returns the number of consecutive failures.
    func failures(of peer: PeerID) -> Int { entries[peer]?.failures ?? 0 }

    private mutating func makeRoom(for peer: PeerID) {
        guard entries.count >= Self.capacity, entries[peer] == nil else { return }
        let soonest = entries.min { $0.value.due < $1.value.due }
        if let soonest { entries[soonest.key] = nil }
    }
}
