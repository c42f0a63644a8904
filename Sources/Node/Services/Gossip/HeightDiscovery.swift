import Collections
import LibP2P
import Multiformats
import Reactor

/// Requests the chain's height by gossip when no block has been committed for long, and answers such requests
/// (docs/protocols.md, "Heights by gossip").
///
/// All nodes receive all requests and answers. So a node's own request waits when another node sends one, and its answer
/// is dropped when another gives the same height. Answers prove nothing: they only make the node ask.
struct HeightDiscovery: Machine {
    /// The shortest silence after which a node asks; longer if the network makes empty blocks less often.
    static let shortestSilence = Duration.seconds(90)
    /// The longest wait between two requests. It doubles from the silence up to this.
    static let longestPause = Duration.seconds(1_800)
    /// The wait for more peers after the first one, plus up to as much at random.
    static let startDelay = Duration.seconds(2)
    /// The time between two of a node's answers, however many nodes ask.
    static let answerInterval = Duration.seconds(10)
    /// The maximum random delay of an answer, so that a thousand nodes do not answer at once: those that receive the
    /// same answer meanwhile send none.
    static let answerJitter = Duration.seconds(4)
    /// The maximum number of requests accepted in an interval, from all authors.
    static let requestsPerInterval = 16
    /// The maximum number of answers accepted in an interval, one per author: a thousand nodes at a thousand heights.
    static let answersPerInterval = 1_024
    /// One neighbour may deliver an eighth of either, and all neighbours that are strangers together a half.
    static let share = 8

    enum Event: MachineEvent {
        /// A peer is connected.
        case peerReady
        /// The block at this height was committed.
        case committed(Int64)
        /// `deadline` has passed.
        case timer
    }

    enum Action: Equatable {
        /// Publish a request.
        case ask
        /// Publish the best height.
        case answer(UInt64)
    }

    /// Each is the action that is due.
    enum Timer { case ask, answer }

    typealias Verdict = GossipsubRouter.Verdict

    /// This node's best height.
    private(set) var best: UInt64
    private let silence: Duration
    private var pause: Duration
    private var timers = TimerTable<Timer>()
    private var answeredAt: Duration?
    private var windowBegan = Duration.zero
    private var authors: Set<PeerID> = []
    /// Requests and answers that neighbours have delivered in this interval.
    private var requests = places(requestsPerInterval)
    private var answers = places(answersPerInterval)
    private var random: SeededGenerator

    /// Creates a machine at a height. `emptyBlockInterval` is the longest time between two blocks, zero if unlimited.
    init(best: Int64, emptyBlockInterval: Duration, seed: UInt64) {
        random = SeededGenerator(seed: seed)
        self.best = UInt64(clamping: best)
        silence = max(Self.shortestSilence, emptyBlockInterval * 2)
        pause = silence
    }

    var deadline: Duration? { timers.deadline }

    mutating func handle(_ event: Event, at now: Instant, actions: inout [Action]) {
        let now = now.elapsed
        switch event {
        case .peerReady:
            if timers[.ask] == nil { timers.arm(.ask, at: now + Self.startDelay + part(of: Self.startDelay)) }
        case .committed(let height):
            best = max(best, UInt64(clamping: height))
            pause = silence
            if timers[.ask] != nil { timers.arm(.ask, at: now + pause + part(of: pause)) }
        case .timer:
            while let timer = timers.popDue(now) {
                switch timer {
                case .ask:
                    actions.append(.ask)
                    postpone(now)
                case .answer:
                    answeredAt = now
                    actions.append(.answer(best))
                }
            }
        }
    }

    func checkInvariants() throws(BrokenInvariant) {
        try BrokenInvariant.check(
            authors.count <= Self.answersPerInterval, "\(authors.count) authors have answered")
        try BrokenInvariant.check(best > 0 || timers[.answer] == nil, "a node without blocks is to answer")
    }

    /// Handles a request of another node, whose answers serve this node too. `neighbour` delivered it.
    mutating func requested(
        through neighbour: PeerID, isTrusted: Bool, now: Duration
    ) -> Verdict {
        openWindow(now)
        guard requests.take(neighbour, isTrusted: isTrusted) else { return .ignore }
        if timers[.ask] != nil { postpone(now) }
        guard best > 0, timers[.answer] == nil else { return .accept }
        let earliest = answeredAt.map { max(now, $0 + Self.answerInterval) } ?? now
        timers.arm(.answer, at: earliest + part(of: Self.answerJitter))
        return .accept
    }

    /// Handles an answer; `neighbour` delivered it. Only nodes that have reached the height relay it, because others
    /// cannot judge it. `isNews` is true if the height is a reason to ask its author.
    mutating func answered(
        _ height: UInt64, by author: PeerID, through neighbour: PeerID, isTrusted: Bool, now: Duration
    ) -> (verdict: Verdict, isNews: Bool) {
        guard height > 0, height <= UInt64(Int64.max) else { return (.reject, false) }
        openWindow(now)
        guard !authors.contains(author), answers.take(neighbour, isTrusted: isTrusted) else {
            return (.ignore, false)
        }
        authors.insert(author)
        if height == best, timers[.answer] != nil {
            timers.cancel(.answer)
            answeredAt = now
        }
        return (height <= best ? .accept : .ignore, height > best)
    }

    private mutating func postpone(_ now: Duration) {
        timers.arm(.ask, at: now + pause + part(of: pause))
        pause = min(pause * 2, max(Self.longestPause, silence))
    }

    private mutating func openWindow(_ now: Duration) {
        guard now - windowBegan >= Self.answerInterval else { return }
        windowBegan = now
        authors = []
        requests = Self.places(Self.requestsPerInterval)
        answers = Self.places(Self.answersPerInterval)
    }

    private static func places(_ count: Int) -> SharedPlaces<PeerID> {
        SharedPlaces(capacity: count, perPeer: count / share)
    }

    /// Returns a random part of a time.
    private mutating func part(of whole: Duration) -> Duration {
        whole.part(random.next())
    }
}
