import Collections
import LibP2P
import Multiformats

/// When each peer may be dialled again: later with every failure, with jitter, so that many nodes that lost the same
/// peer do not come back at the same moment.
///
/// A machine: time and random numbers come from outside.
struct DialPlan {
    /// The wait after the first failure, and after a connection that ended soon.
    static let shortest = Duration.seconds(1)
    /// The longest wait for a peer that is always to be connected.
    static let longestWanted = Duration.seconds(30)
    /// The longest wait for any other.
    static let longest = Duration.seconds(600)
    /// A connection that lasted less counts as a failure: the peer did not want it.
    static let lasting = Duration.seconds(10)
    /// A peer is dead after so many failures one after the other, over at least this time.
    static let deadlyFailures = 10
    static let deadlyTime = Duration.seconds(3_600)
    /// Peers remembered: as many as the address book has. Beyond, the one that is due first makes room.
    static let capacity = PeerStore.maximumPeers

    /// The wait before one is dialled again that is of no use until its operator or this one's changes something.
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

    /// Whether a peer may be dialled now. One that is always to be connected may become so during a long wait.
    func isDue(_ peer: PeerID, isWanted: Bool, now: Duration) -> Bool {
        guard !running.contains(peer) else { return false }
        guard let entry = entries[peer] else { return true }
        return now
            >= (isWanted && !entry.isAvoided ? min(entry.due, entry.last + Self.longestWanted) : entry.due)
    }

    /// A dial begins.
    mutating func begin(_ peer: PeerID) { running.append(peer) }

    /// A dial has succeeded. Failures are forgotten once the connection has lasted.
    mutating func succeeded(_ peer: PeerID) { running.remove(peer) }

    /// A dial has failed. `isWanted` for a peer that is always to be connected.
    mutating func failed(
        _ peer: PeerID, lacksAddress: Bool = false, isWanted: Bool, now: Duration,
        _ random: inout SeededGenerator
    ) {
        running.remove(peer)
        postpone(peer, failures: failures(of: peer) + 1, isWanted, now, &random)
        entries[peer]?.lacksAddress = lacksAddress
    }

    /// A connection has ended that lasted so long. What lasted was no failure, and is made anew soon.
    mutating func ended(
        _ peer: PeerID, after time: Duration, isWanted: Bool, now: Duration, _ random: inout SeededGenerator
    ) {
        let failures = time >= Self.lasting ? 0 : failures(of: peer) + 1
        postpone(peer, failures: failures, isWanted, now, &random)
    }

    /// A connection has ended with a peer that is of no use: it is left alone for long, also if it is wanted.
    mutating func avoid(_ peer: PeerID, now: Duration) {
        makeRoom(for: peer)
        entries[peer] = Entry(
            failures: 0, since: now, last: now, due: now + Self.avoided, isAvoided: true)
    }

    /// The wait is between half and all of the full one.
    private mutating func postpone(
        _ peer: PeerID, failures: Int, _ isWanted: Bool, _ now: Duration, _ random: inout SeededGenerator
    ) {
        makeRoom(for: peer)
        let steps = min(max(failures - 1, 0), 10)
        let full = min(Self.shortest * (1 << steps), isWanted ? Self.longestWanted : Self.longest)
        let wait = full / 2 + full / 2 * Int(random.next() % 1_024) / 1_024
        let since = failures > 1 ? entries[peer]?.since ?? now : now
        entries[peer] = Entry(failures: min(failures, 1_000), since: since, last: now, due: now + wait)
    }

    /// An address of the peer has become known.
    mutating func learned(_ peer: PeerID, now: Duration) {
        guard entries[peer]?.lacksAddress == true else { return }
        entries[peer] = nil
    }

    /// Whether the peer has failed for so long that it is not worth remembering.
    func isDead(_ peer: PeerID, now: Duration) -> Bool {
        guard let entry = entries[peer] else { return false }
        return entry.failures >= Self.deadlyFailures && now - entry.since >= Self.deadlyTime
    }

    /// Forgets a peer.
    mutating func forget(_ peer: PeerID) { entries[peer] = nil }

    /// Failures one after the other up to now.
    func failures(of peer: PeerID) -> Int { entries[peer]?.failures ?? 0 }

    private mutating func makeRoom(for peer: PeerID) {
        guard entries.count >= Self.capacity, entries[peer] == nil else { return }
        let soonest = entries.min { $0.value.due < $1.value.due }
        if let soonest { entries[soonest.key] = nil }
    }
}
