import Chain
import Collections
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor

/// Detects two hosts with one key, logs a warning, and stops the node if the key is its own and it is a validator or
/// leader (docs/consensus.md, "Two hosts with one key").
///
/// Each process sends its ID to its peers. Validators publish theirs, with the other process IDs that they have
/// received under their own key, and peers send a node the statements made in its name. A node named in a statement
/// under its own key knows that both processes run: no other node can have signed it, and not before this process
/// started.
@ReactorActor
final class KeyWatch {
    /// The time from a new peer to a statement: until the peer has sent its subscriptions.
    private nonisolated static let settling = Duration.seconds(1)
    /// The shortest and the longest time between two statements.
    private nonisolated static let (pause, period) = (Duration.seconds(1), Duration.seconds(60))
    /// The time from the statement that follows the proof to the end, so that the other process receives it.
    private nonisolated static let farewell = Duration.seconds(1)
    /// The time between two warnings about one key.
    private nonisolated static let reminder = Duration.seconds(600)
    /// The burst and interval of statements accepted per author, and of signatures verified per peer.
    private nonisolated static let (burst, interval) = (16, Duration.seconds(1))

    private let context: NodeContext
    private let consensus: ConsensusService
    private let gossip: Gossipsub
    /// This process's ID.
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
        } foreign: { [weak self] message, peer in
            self?.heardOwn(message, from: peer)
        }
        speak(within: Self.period)
    }

    func stop() {
        isStopped = true
        timer?.cancel()
    }

    // MARK: Peers

    /// Notes that a peer of this chain has identified itself.
    func peerReady(_ peer: PeerID) {
        bring(to: peer)
        speak(within: Self.settling)
    }

    /// Notes the process ID of a peer of this chain.
    func identified(_ peer: PeerID, as process: ProcessID) {
        let meeting = holders.met(peer, as: process)
        guard meeting != .same else { return }
        // The former process has ended, or must notice the new one.
        context.host.closeFormer(of: peer)
        if meeting == .back { warn(of: peer, "it comes back after another process of the same key") }
        bring(to: peer)
        speak(within: Self.settling)
    }

    /// Notes that a peer's last connection has ended.
    func peerLeft(_ peer: PeerID, isTrusted: Bool) {
        if !isTrusted { holders.left(peer) }
    }

    /// Sends a peer the statements that other processes made in its name.
    private func bring(to peer: PeerID) {
        guard let process = holders.process(of: peer) else { return }
        for message in holders.messages(of: peer, except: process) { gossip.bring(message, to: peer) }
    }

    // MARK: Others' keys

    /// Forgets former validators. Called after each commit.
    func committed() {
        let validators = consensus.view.state.validators
        keyUse.keep { validators.contains($0) }
        holders.keep { [own] in $0 == own || self.isValidator($0) }
    }

    private func isValidator(_ peer: PeerID) -> Bool {
        guard let key = try? PublicKey(peerID: peer) else { return false }
        return consensus.view.state.validators.contains(key)
    }

    /// Notes a vote on the latest or the next block. A vote for another height may be made up to hide later ones.
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
                "peer": .of(peer), "node": .text(name), "height": .number(consensus.view.state.height),
                "reason": .text(reason),
            ])
    }

    // MARK: The own key

    /// Handles a statement in this node's name by another process, a former or a running one.
    func heardOwn(_ message: GossipMessage, from peer: PeerID) {
        guard let statement = ProcessStatement(decoding: message.data), statement.process != process,
            holders.isNews(statement, in: message), bringers.allows(peer, now: Reactor.now)
        else { return }
        Reactor.spawn { [weak self, context] in
            guard let isSigned = try? await context.checks.run(.low, { message.verify() }) else { return }
            guard isSigned else { return context.host.report(peer, .wrongContent) }
            self?.heardOwn(statement, in: message)
        }
    }

    private func heardOwn(_ statement: ProcessStatement, in message: GossipMessage) {
        guard !isStopped, holders.note(statement, in: message) else { return }
        if statement.heard.contains(process) { prove() }
        speak(within: .zero)
    }

    /// Stops the node, because another process has received its ID.
    private func prove() {
        guard !isProven, consensus.view.role != .sentry else { return }
        isProven = true
        Reactor.schedule(after: Self.pause + Self.farewell) { [weak self] in
            guard let self, !isStopped else { return }
            consensus.feed(.answeredInOwnName)
            // If the node is no validator by then, it continues.
            isProven = false
        }
    }

    /// Publishes this process's ID after `delay`, or once the shortest time between two statements has passed.
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
