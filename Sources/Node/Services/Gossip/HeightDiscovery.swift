import Collections
import LibP2P
import Multiformats

/// Requests the chain's height by gossip when no block has been committed for long, and answers such requests
/// (docs/protocols.md, "Heights by gossip").
///
/// A machine: time and random numbers come with the events. All nodes receive all requests and answers. So a node's own
/// request waits when another node sends one, and its answer is dropped when another gives the same height. Answers
/// prove nothing: they only make the node ask.
struct HeightDiscovery {
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

    /// An action.
    enum Action: Equatable {
        /// Publish a request.
        case ask
        /// Publish the best height.
        case answer(UInt64)
    }

    typealias Verdict = GossipsubRouter.Verdict

    /// This node's best height.
    private(set) var best: UInt64
    private let silence: Duration
    private var pause: Duration
    private var askAt: Duration?
    private var answerAt: Duration?
    private var answeredAt: Duration?
    private var windowBegan = Duration.zero
    private var authors: Set<PeerID> = []
    /// Requests and answers that neighbours have delivered in this interval.
    private var requests = places(requestsPerInterval)
    private var answers = places(answersPerInterval)

    /// Creates a machine at a height. `emptyBlockInterval` is the longest time between two blocks, zero if unlimited.
    init(best: Int64, emptyBlockInterval: Duration) {
        self.best = UInt64(clamping: best)
        silence = max(Self.shortestSilence, emptyBlockInterval * 2)
        pause = silence
    }

    /// The time at which `timer` is due.
    var deadline: Duration? { [askAt, answerAt].compactMap { $0 }.min() }

    /// Notes that a peer is connected.
    mutating func peerReady(now: Duration, random: UInt64) {
        guard askAt == nil else { return }
        askAt = now + Self.startDelay + Self.part(of: Self.startDelay, random)
    }

    /// Notes that a block was committed, and restarts the wait.
    mutating func committed(_ height: Int64, now: Duration, random: UInt64) {
        best = max(best, UInt64(clamping: height))
        pause = silence
        if askAt != nil { askAt = now + pause + Self.part(of: pause, random) }
    }

    /// Handles a request of another node, whose answers serve this node too. `neighbour` delivered it.
    mutating func requested(
        through neighbour: PeerID, isTrusted: Bool, now: Duration, random: UInt64
    ) -> Verdict {
        openWindow(now)
        guard requests.take(neighbour, isTrusted: isTrusted) else { return .ignore }
        if askAt != nil { postpone(now, random) }
        guard best > 0, answerAt == nil else { return .accept }
        let earliest = answeredAt.map { max(now, $0 + Self.answerInterval) } ?? now
        answerAt = earliest + Self.part(of: Self.answerJitter, random &* 0x9e37_79b9_7f4a_7c15)
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
        if height == best, answerAt != nil {
            answerAt = nil
            answeredAt = now
        }
        return (height <= best ? .accept : .ignore, height > best)
    }

    /// Handles the passing of `deadline`.
    mutating func timer(now: Duration, random: UInt64) -> [Action] {
        var actions: [Action] = []
        if let due = askAt, due <= now {
            actions.append(.ask)
            postpone(now, random)
        }
        if let due = answerAt, due <= now {
            answerAt = nil
            answeredAt = now
            actions.append(.answer(best))
        }
        return actions
    }

    private mutating func postpone(_ now: Duration, _ random: UInt64) {
        askAt = now + pause + Self.part(of: pause, random)
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
    private static func part(of whole: Duration, _ random: UInt64) -> Duration {
        whole / 1_024 * Int(random % 1_024)
    }
}
