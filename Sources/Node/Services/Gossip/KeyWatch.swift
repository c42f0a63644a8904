import Chain
import Collections
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor

/// Notices that two hosts run with one key, warns of it, and stops the node if the key is its own and votes
/// (docs/consensus.md, "Two hosts with one key").
///
/// Each process tells its peers which one it is, and validators publish it, together with the other processes that they have
/// heard in their own name. Peers bring a node what was said in its name. Whoever hears its own process named by another
/// one of its key knows that both run: nobody else can have signed that, and nobody can have kept it from before.
@ReactorActor
final class KeyWatch {
    /// The time from a new peer to a statement: until it has told what topics it has joined.
    private nonisolated static let settling = Duration.seconds(1)
    /// The least time between two statements, and the most.
    private nonisolated static let (pause, period) = (Duration.seconds(1), Duration.seconds(60))
    /// The time from the proof to the end, in which the other process is told as well.
    private nonisolated static let farewell = Duration.seconds(1)
    /// How long a key that was warned of is not warned of again.
    private nonisolated static let reminder = Duration.seconds(600)
    /// Statements of one author that are looked at, and signatures that are checked for one peer.
    private nonisolated static let (burst, interval) = (16, Duration.seconds(1))

    private let context: NodeContext
    private let consensus: ConsensusService
    private let gossip: Gossipsub
    /// This process.
    private let process: ProcessID
    private var holders = KeyHolders()
    private var keyUse = KeyUse()
    private var warned = FadingCounts<PeerID>(forgiven: KeyWatch.reminder, capacity: 256)
    private var authors = RateLimiter<PeerID>(burst: KeyWatch.burst, interval: KeyWatch.interval)
    private var bringers = RateLimiter<PeerID>(burst: KeyWatch.burst, interval: KeyWatch.interval)
    private var spokeAt: Duration?
    private var timer: Timer?
    private var isProven = false
    private var isStopped = false

    init(_ context: NodeContext, _ consensus: ConsensusService, _ gossip: Gossipsub) {
        self.context = context
        self.consensus = consensus
        self.gossip = gossip
        process = ProcessID(Reactor.random(), Reactor.random())
    }

    private var own: PeerID { context.host.peerID }

    func start() {
        context.host.advertise(KwilProtocol.process(process))
        gossip.subscribe(GossipTopic.processes) { [weak self] message, _ in
            self?.judge(message) ?? .ignore
        } handler: { _, _ in
        }
        speak(within: Self.period)
    }

    func stop() {
        isStopped = true
        timer?.cancel()
    }

    // MARK: Peers

    /// A peer of this chain has told what it speaks.
    func peerReady(_ peer: PeerID) {
        bring(to: peer)
        speak(within: Self.settling)
    }

    /// A peer of this chain has told which process it is.
    func identified(_ peer: PeerID, as process: ProcessID) {
        let meeting = holders.met(peer, as: process)
        guard meeting != .same else { return }
        // The process before has ended, or is to notice.
        context.host.closeFormer(of: peer)
        if meeting == .back { warn(of: peer, "it comes back after another process of the same key") }
        bring(to: peer)
        speak(within: Self.settling)
    }

    /// Such a peer's last connection has ended.
    func peerLeft(_ peer: PeerID, isTrusted: Bool) {
        if !isTrusted { holders.left(peer) }
    }

    /// Brings a peer what was said in its name by other processes than the one that it is.
    private func bring(to peer: PeerID) {
        guard let process = holders.process(of: peer) else { return }
        for message in holders.messages(of: peer, except: process) { gossip.bring(message, to: peer) }
    }

    // MARK: Others' keys

    /// A block is in the log.
    func committed() {
        let validators = consensus.view.state.validators
        keyUse.keep { validators.contains($0) }
        holders.keep { [own] in $0 == own || self.isValidator($0) }
    }

    private func isValidator(_ peer: PeerID) -> Bool {
        guard let key = try? PublicKey(peerID: peer) else { return false }
        return consensus.view.state.validators.contains(key)
    }

    /// A vote on the next block, or on the newest, was heard. Of any other height it may be made up, and would hide what
    /// comes then.
    func heard(_ answer: AckRes, number: UInt64) {
        let (state, voter) = (consensus.view.state, answer.signature.publicKey)
        let isCurrent =
            answer.height == state.height ? answer.block == state.hash : answer.height == state.height &+ 1
        guard isCurrent, keyUse.heard(voter, number: number, height: answer.height) else { return }
        warn(of: voter.peerID, "two processes number their votes in turn")
    }

    private func judge(_ message: GossipMessage) -> GossipsubRouter.Verdict {
        guard let statement = ProcessStatement(decoding: message.data) else { return .reject }
        guard isValidator(message.author), holders.isNews(statement, in: message),
            authors.allows(message.author, now: Reactor.now), holders.note(statement, in: message)
        else { return .ignore }
        if holders.isShared(message.author) { warn(of: message.author, "two processes name each other") }
        bring(to: message.author)
        return .accept
    }

    private func warn(of peer: PeerID, _ reason: String) {
        guard warned.count(of: peer, now: Reactor.now) == 0 else { return }
        warned.add(1, to: peer, now: Reactor.now)
        let name = (try? PublicKey(peerID: peer)).map(\.nodeID) ?? peer.description
        context.log.warning(
            isValidator(peer)
                ? "two hosts run with the key of one validator; it must be used by one"
                : "two hosts run with the key of one node; it must be used by one",
            [
                "node": .text(name), "height": .number(consensus.view.state.height),
                "reason": .text(reason),
            ])
    }

    // MARK: The own key

    /// A statement in this node's own name that this process has not made: of a former process, or of another that runs.
    func heardOwn(_ message: GossipMessage, from peer: PeerID) {
        guard let statement = ProcessStatement(decoding: message.data), statement.process != process,
            holders.isNews(statement, in: message), bringers.allows(peer, now: Reactor.now)
        else { return }
        Reactor.spawn { [weak self, context] in
            guard let isSigned = try? await context.checks.run({ message.verify() }) else { return }
            guard isSigned else { return context.host.report(peer, .wrongContent) }
            self?.heardOwn(statement, in: message)
        }
    }

    private func heardOwn(_ statement: ProcessStatement, in message: GossipMessage) {
        guard !isStopped, holders.note(statement, in: message) else { return }
        if statement.heard.contains(process) { prove() }
        speak(within: .zero)
    }

    /// Another process has heard this one.
    private func prove() {
        guard !isProven, consensus.view.role != .sentry else { return }
        isProven = true
        Reactor.schedule(after: Self.pause + Self.farewell) { [weak self] in
            guard let self, !isStopped else { return }
            consensus.feed(.answeredInOwnName)
            // It may be no validator by now.
            isProven = false
        }
    }

    /// Publishes which process this is, after this time or as soon as the pause is over.
    private func speak(within delay: Duration) {
        let now = Reactor.now
        let due = max(now + delay, spokeAt.map { $0 + Self.pause } ?? now)
        if let timer, timer.isPending {
            guard timer.deadline > due else { return }
            timer.cancel()
        }
        guard !isStopped else { return }
        timer = Reactor.schedule(after: due - now) { [weak self] in self?.speak() }
    }

    private func speak() {
        guard !isStopped else { return }
        spokeAt = Reactor.now
        if consensus.view.role != .sentry {
            let statement = ProcessStatement(process, heard: holders.processes(of: own))
            try? gossip.publish(GossipTopic.processes, statement.bytes)
        }
        speak(within: Self.period)
    }
}
