import Collections
import Multiformats

/// Asks by gossip how high the chain is when nothing has been heard of it for long, and answers others that ask
/// (docs/protocols.md, "Heights by gossip").
///
/// A machine: time and random numbers come with the events. Requests and answers are heard by everyone, so that one of
/// each is enough for all: a request of another takes the place of one's own, and an answer that says the same that of
/// one's own. Answers prove nothing; they are hints to look.
struct HeightDiscovery {
    /// How long nothing is heard before a node asks, if the network makes no empty blocks more often.
    static let shortestSilence = Duration.seconds(90)
    /// The longest wait between two requests; it doubles from the silence up to this.
    static let longestPause = Duration.seconds(1_800)
    /// Wait after the first peer is there, for others to come; as much again at random.
    static let startDelay = Duration.seconds(2)
    /// Time between two answers of a node, however many ask.
    static let answerInterval = Duration.seconds(10)
    /// An answer waits up to this at random, so that a thousand nodes do not answer at once: those that hear another's in
    /// time stay silent.
    static let answerJitter = Duration.seconds(4)
    /// Requests passed on in one interval, over all authors.
    static let requestsPerInterval = 16
    /// Answers listened to in one interval, one of each author: a thousand nodes at a thousand heights.
    static let answersPerInterval = 1_024
    /// Of either, what one neighbour may bring: an eighth. Neighbours that are strangers bring a half together.
    static let share = 8

    /// What is to be done.
    enum Action: Equatable {
        /// Publish a request.
        case ask
        /// Publish the best height.
        case answer(UInt64)
    }

    /// What a message is.
    enum Verdict: Equatable {
        case accept
        case reject
        case ignore
    }

    /// This node's best height.
    private(set) var best: UInt64
    private let silence: Duration
    private var pause: Duration
    private var askAt: Duration?
    private var answerAt: Duration?
    private var answeredAt: Duration?
    private var windowBegan = Duration.zero
    private var authors: Set<PeerID> = []
    /// Requests and answers that neighbours have brought in this interval.
    private var requests = places(requestsPerInterval)
    private var answers = places(answersPerInterval)

    /// A machine at a height. `emptyBlockInterval`: the longest time between two blocks, zero for any.
    init(best: Int64, emptyBlockInterval: Duration) {
        self.best = UInt64(clamping: best)
        silence = max(Self.shortestSilence, emptyBlockInterval * 2)
        pause = silence
    }

    /// When `timer` is due.
    var deadline: Duration? { [askAt, answerAt].compactMap { $0 }.min() }

    /// There is a peer to ask.
    mutating func peerReady(now: Duration, random: UInt64) {
        guard askAt == nil else { return }
        askAt = now + Self.startDelay + Self.part(of: Self.startDelay, random)
    }

    /// A block was committed: nothing is amiss.
    mutating func committed(_ height: Int64, now: Duration, random: UInt64) {
        best = max(best, UInt64(clamping: height))
        pause = silence
        if askAt != nil { askAt = now + pause + Self.part(of: pause, random) }
    }

    /// Another node asks. Its answers will do for this one too. `neighbour` brings the request.
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

    /// A node says how high it is; `neighbour` brings the answer. It is passed on only by nodes that are as high
    /// themselves: others cannot tell whether it is true. `isNews`: a reason to ask whoever said it.
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

    /// `deadline` has passed.
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

    /// From nothing up to the whole of a time.
    private static func part(of whole: Duration, _ random: UInt64) -> Duration {
        whole / 1_024 * Int(random % 1_024)
    }
}
