import Collections
import Crypto
import Multiformats

/// Of whom an announced block is fetched: of the first that announces it, and of another who announced it too when the
/// first keeps the node waiting. Who did so twice lately is not first again as long as another announces the block. A
/// machine.
struct BlockSources {
    /// Without `leastBytes` more in this time a source has let the node down, and the next one is asked.
    static let patience = Duration.seconds(2)
    static let leastBytes = 64 << 10
    /// A block that keeps coming has this time before another source is asked all the same.
    static let longest = Duration.seconds(10)
    /// The wait for another's announcement before one is taken who let the node down so often lately.
    static let hesitation = Duration.seconds(1)
    static let doubtful = 2
    /// Who sends no byte in this time of a block that it announced, and that another has sent whole, withholds it: a slow
    /// link brings something. That weighs like two times of being slow.
    static let longestSilence = Duration.seconds(10)
    static let withholdingWeighs = 2
    /// The time after which one of these times is forgiven, and how many peers are remembered.
    static let forgiven = Duration.seconds(300)
    static let remembered = 1_024
    /// Blocks fetched at once: the machine asks for two heights at most.
    static let fetches = 16

    /// What is to be done about a block that is being fetched.
    enum Step: Equatable {
        /// Look again after `patience`.
        case wait
        /// Ask this one too. `blamed`: who let the node down, and how often lately.
        case ask(PeerID, blamed: PeerID?, times: Int)
    }

    /// What is known of a peer whose first byte is waited for.
    enum Silence: Equatable {
        /// Look again soon.
        case wait
        /// It sends.
        case over
        /// It does not.
        case withholds
    }

    private struct Fetch {
        var asked: OrderedSet<PeerID>
        var current: PeerID
        var isBlamed = false
        /// When the current source was asked, and what it had sent at the end of the last stretch in which enough came.
        var began: Duration
        var mark: (bytes: Int, at: Duration)
    }

    private var fetching: OrderedDictionary<Hash, Fetch> = [:]
    private var letDowns = FadingCounts<PeerID>(forgiven: forgiven, capacity: remembered)
    /// Doubtful peers of which a first byte was waited for lately.
    private var tested = FadingCounts<PeerID>(forgiven: longestSilence, capacity: remembered)

    /// Whether another announcer of a block is to be preferred to this one.
    func isDoubtful(_ peer: PeerID, now: Duration) -> Bool {
        letDowns.count(of: peer, now: now) >= Self.doubtful
    }

    /// A block is asked of its first source.
    mutating func began(_ block: Hash, from peer: PeerID, now: Duration) {
        if fetching.count >= Self.fetches, let oldest = fetching.keys.first(where: { _ in true }) {
            fetching[oldest] = nil
        }
        fetching[block] = Fetch(asked: [peer], current: peer, began: now, mark: (0, now))
    }

    /// Looks at a block whose current source has sent so many bytes; `holders` have announced it too. Nil when it is not
    /// being fetched any more.
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

    /// A source broke off while it still had to send. Returns how often it let the node down lately, this time included;
    /// zero when that was counted before.
    mutating func brokeOff(_ block: Hash, _ peer: PeerID, now: Duration) -> Int {
        guard let fetch = fetching[block], fetch.current == peer, !fetch.isBlamed else { return 0 }
        fetching[block]?.isBlamed = true
        return letDowns.add(1, to: peer, now: now)
    }

    /// The block is here, or is not wanted any more.
    mutating func ended(_ block: Hash) { fetching[block] = nil }

    // MARK: Silence

    /// Whether a peer is asked for a block that another sends, to see whether it sends any: only one that is not asked
    /// otherwise, and now and then.
    mutating func tests(_ peer: PeerID, now: Duration) -> Bool {
        guard isDoubtful(peer, now: now), tested.count(of: peer, now: now) == 0 else { return false }
        tested.add(1, to: peer, now: now)
        return true
    }

    /// Looks at a peer, asked at a time, that had not sent a byte of a block when another had sent all of it.
    func silence(asked: Duration, hasSent: Bool, now: Duration) -> Silence {
        if hasSent { return .over }
        return now - asked < Self.longestSilence ? .wait : .withholds
    }

    /// A peer has sent nothing of a block that it announced. Returns how often it let the node down lately.
    mutating func withheld(_ peer: PeerID, now: Duration) -> Int {
        letDowns.add(Self.withholdingWeighs, to: peer, now: now)
    }
}
