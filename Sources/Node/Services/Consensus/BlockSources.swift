import Collections
import Crypto
import Multiformats

/// Which peer an announced block is fetched from: its first announcer, and the next one when that is slow
/// (docs/consensus.md, "A height"). A peer that failed twice lately is asked last. A machine.
struct BlockSources {
    /// A source that sends less than `leastBytes` in this time has failed, and the next one is asked.
    static let patience = Duration.seconds(2)
    static let leastBytes = 64 << 10
    /// Another source is asked after this time even if the block keeps arriving.
    static let longest = Duration.seconds(10)
    /// How long to wait for another announcer before a doubtful peer is asked.
    static let hesitation = Duration.seconds(1)
    /// The number of recent failures from which a peer is doubtful.
    static let doubtful = 2
    /// An announcer that sends no byte in this time, of a block that another peer has sent whole, withholds it: even a
    /// slow link delivers something. Withholding counts as two failures.
    static let longestSilence = Duration.seconds(10)
    static let withholdingWeighs = 2
    /// The time after which one failure is forgiven, and the number of peers remembered.
    static let forgiven = Duration.seconds(300)
    static let remembered = 1_024
    /// The maximum number of blocks fetched at once. The consensus machine asks for at most two heights.
    static let fetches = 16

    /// What to do about a block that is being fetched.
    enum Step: Equatable {
        /// Check again after `patience`.
        case wait
        /// Ask this peer too. `blamed` is the peer that failed, and `times` the number of its recent failures.
        case ask(PeerID, blamed: PeerID?, times: Int)
    }

    /// The state of a peer whose first byte is awaited.
    enum Silence: Equatable {
        /// Check again soon.
        case wait
        /// It has begun to send.
        case over
        /// It withholds the block.
        case withholds
    }

    private struct Fetch {
        var asked: OrderedSet<PeerID>
        var current: PeerID
        var isBlamed = false
        /// When the current source was asked, and the bytes it had sent at the end of the last period in which it sent
        /// enough.
        var began: Duration
        var mark: (bytes: Int, at: Duration)
    }

    private var fetching: OrderedDictionary<Hash, Fetch> = [:]
    private var letDowns = FadingCounts<PeerID>(forgiven: forgiven, capacity: remembered)
    /// Doubtful peers whose first byte was awaited lately.
    private var tested = FadingCounts<PeerID>(forgiven: longestSilence, capacity: remembered)

    /// Returns whether to prefer another announcer to this one.
    func isDoubtful(_ peer: PeerID, now: Duration) -> Bool {
        letDowns.count(of: peer, now: now) >= Self.doubtful
    }

    /// Notes that a block is requested from its first source.
    mutating func began(_ block: Hash, from peer: PeerID, now: Duration) {
        if fetching.count >= Self.fetches, let oldest = fetching.keys.first(where: { _ in true }) {
            fetching[oldest] = nil
        }
        fetching[block] = Fetch(asked: [peer], current: peer, began: now, mark: (0, now))
    }

    /// Checks a block's progress: `bytes` are what its current source has sent, `holders` its announcers. Returns nil
    /// if it is no longer being fetched.
    mutating func step(_ block: Hash, bytes: Int, holders: [PeerID], now: Duration) -> Step? {
        guard var fetch = fetching[block] else { return nil }
        if bytes - fetch.mark.bytes >= Self.leastBytes { fetch.mark = (bytes, now) }
        fetching[block] = fetch
        let isStill = now - fetch.mark.at >= Self.patience
        guard isStill || now - fetch.began >= Self.longest else { return .wait }
        guard
            let next = holders.first(where: { !fetch.asked.contains($0) && !isDoubtful($0, now: now) })
                ?? holders.first(where: { !fetch.asked.contains($0) })
        else { return .wait }
        let blamed = isStill && !fetch.isBlamed ? fetch.current : nil
        let times = blamed.map { letDowns.add(1, to: $0, now: now) } ?? 0
        fetch.asked.append(next)
        fetch.current = next
        fetch.isBlamed = false
        fetch.began = now
        fetch.mark = (0, now)
        fetching[block] = fetch
        return .ask(next, blamed: blamed, times: times)
    }

    /// Notes that a source broke off. Returns the number of its recent failures, or 0 if this one was counted before.
    mutating func brokeOff(_ block: Hash, _ peer: PeerID, now: Duration) -> Int {
        guard let fetch = fetching[block], fetch.current == peer, !fetch.isBlamed else { return 0 }
        fetching[block]?.isBlamed = true
        return letDowns.add(1, to: peer, now: now)
    }

    /// Notes that a block has arrived or is no longer wanted.
    mutating func ended(_ block: Hash) { fetching[block] = nil }

    // MARK: Silence

    /// Returns whether to ask a doubtful peer for a block that another peer sends, to learn whether it sends anything.
    /// Only now and then.
    mutating func tests(_ peer: PeerID, now: Duration) -> Bool {
        guard isDoubtful(peer, now: now), tested.count(of: peer, now: now) == 0 else { return false }
        tested.add(1, to: peer, now: now)
        return true
    }

    /// Returns the state of a peer that was asked at `asked` and had sent nothing when another peer had sent the whole
    /// block.
    func silence(asked: Duration, hasSent: Bool, now: Duration) -> Silence {
        if hasSent { return .over }
        return now - asked < Self.longestSilence ? .wait : .withholds
    }

    /// Notes that a peer withheld a block. Returns the number of its recent failures.
    mutating func withheld(_ peer: PeerID, now: Duration) -> Int {
        letDowns.add(Self.withholdingWeighs, to: peer, now: now)
    }
}
