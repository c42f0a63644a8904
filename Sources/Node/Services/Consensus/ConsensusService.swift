import Bytes
import Chain
import Collections
import Consensus
import Crypto
import Execution
import LibP2P
import Multiformats
import Peers
import Protocols
import Reactor
import Storage

/// Drives the consensus machine on its own worker: passes it events from peers, workers and the clock, and performs its
/// actions (docs/architecture.md, "Machines").
///
/// Other services read `view`, which the machine publishes. They learn anything else by asking the machine (`ask`).
@ReactorActor
final class ConsensusService: Service {
    /// An event for the rest of the node.
    enum Event: Sendable {
        /// The machine has published a view, and `view` is up to date.
        case view(ConsensusView, before: ConsensusView)
        /// These blocks are in the log and in the application: one, or several while the node catches up.
        case committed([(CheckedBlock, ExecutionResult)])
        /// A peer has committed blocks up to this height, which this node lacks.
        case behind(Int64, PeerID)
        /// The block of this height is proven to be committed.
        case proven(Int64)
    }

    let events = EventChannel<Event>()
    let context: NodeContext
    let mempool: MempoolService
    let peers: PeerService
    let gossip: Gossipsub
    let verifier: BlockVerifier
    /// The machine's view, as last published.
    private(set) var view: ConsensusView
    let driver: MachineDriver<ConsensusMachine>
    private(set) var isStopped = false

    /// Announced blocks whose proofs are being checked.
    let announcementChecks = CheckGate()
    /// Which peers have announced blocks that this node has not committed yet.
    var holders = BlockHolders()
    /// Which peers to fetch announced blocks from, and the fetches in progress.
    var sources = BlockSources()
    var fetches: OrderedDictionary<Hash, BlockFetch> = [:]
    /// Announcers that had sent no byte of a block when another peer had sent the whole block.
    var silent: OrderedDictionary<PeerID, BlockFetch> = [:]
    /// Doubtful peers whose announcements wait for another announcer.
    var hesitating: Set<PeerID> = []
    /// Proposed blocks whose transactions this node passes on.
    let arrivingBlocks = ArrivingBlocks()
    /// Answers whose signatures are being checked.
    var answersInCheck = AnswersInCheck()
    /// The state of the chain that the next start continues from.
    var keeper: StateKeeper
    /// Whether files of the block index are being written or merged.
    var isIndexMaintained = false

    /// The number of bytes that count as progress of a block.
    nonisolated static let progressBytes = 64 << 10

    private let end = ServiceEnd()

    init(
        _ context: NodeContext, _ mempool: MempoolService, _ peers: PeerService, _ gossip: Gossipsub,
        _ outcome: ChainRecovery.Outcome
    ) throws {
        self.context = context
        self.mempool = mempool
        self.peers = peers
        self.gossip = gossip
        verifier = BlockVerifier(chainID: context.genesis.chainID, mempool, on: context.checks)
        keeper = StateKeeper(
            genesis: context.genesis.hash, interval: context.stateInterval, kept: outcome.kept,
            latest: outcome.latest, transactions: outcome.transactions)
        var settings = ConsensusSettings()
        let configuration = context.configuration.consensus
        settings.minimumBlockInterval = configuration.proposeTimeout
        settings.emptyBlockInterval = configuration.emptyBlockTimeout
        settings.resendInterval = configuration.blockProposalInterval
        settings.maximumResendInterval = max(settings.maximumResendInterval, settings.resendInterval)
        settings.announceInterval = configuration.blockAnnounceInterval
        settings.promotion = try configuration.promotion()
        let machine = ConsensusMachine(
            key: context.key.publicKey, state: outcome.state, tipCommit: outcome.tipCommit,
            lastVote: context.votes.last, oldestVote: context.votes.votes.first?.height,
            votedBlock: outcome.votedBlock,
            reservedStamp: context.votes.stamps.end, settings: settings, now: Reactor.now)
        view = machine.view
        driver = MachineDriver(
            machine, on: context.consensus, wallClock: context.wallClock,
            onBrokenInvariant: context.observer.brokenInvariant)
    }

    /// Serves the consensus protocols and runs the machine until cancelled. Throws the `ConsensusError` that stopped
    /// the machine.
    func run() async throws {
        serve()
        driver.start { [weak self] in self?.perform($0) }
        defer { stop() }
        try await end.wait()
    }

    private func serve() {
        context.host.register(BlockAnnouncementProtocol(self))
        context.host.register(BlockProposalProtocol(self))
        if context.takesCompactProposals {
            context.host.register(CompactProposalProtocol(self))
            context.host.register(BlockShareProtocol(self))
        }
        context.host.register(AcknowledgementProtocol(self))
        context.host.register(ConsensusStatusProtocol(self))
        context.host.register(ProposedBlockProtocol(self))
        context.host.register(CommitDoneProtocol(self))
    }

    private func stop() {
        isStopped = true
        driver.stop()
        // The next start executes the interrupted block again.
        context.application.stop()
        events.finish()
        endFetches(upTo: .max)
        for fetch in silent.values { fetch.end() }
        silent = [:]
    }

    // MARK: Machine

    /// Submits the result of an action, or another rare event, without waiting.
    func feed(_ event: ConsensusEvent) { driver.submit(event) }

    /// Submits an event that a peer caused. Returns once it is handled. A full queue suspends the caller.
    func handle(_ event: ConsensusEvent) async { await driver.handle(event) }

    /// Asks the machine; returns nil if the node is stopping.
    func ask<Answer: Sendable>(
        _ question: @escaping @Sendable (inout ConsensusMachine, Instant, inout [ConsensusAction]) -> Answer
    ) async -> Answer? {
        try? await driver.ask(question)
    }

    private func publish(_ view: ConsensusView) {
        let before = self.view
        self.view = view
        events.send(.view(view, before: before))
    }

    private func perform(_ action: ConsensusAction) {
        switch action {
        case .publish(let view): publish(view)
        case .build(let template): build(template)
        case .reserveStamps(let stamp): reserve(stampsUpTo: stamp)
        case .execute(let block): execute(block)
        case .stopExecution: context.application.stop()
        case .rollBack: rollBack()
        case .commit(let block, let result, let commit): self.commit(block, result, commit)
        case .commitRun(let run): self.commit(run)
        case .vote(let vote, let answer, let block): record(vote, answer, keeping: block)
        case .refuse(let height, let block, let answer): refuse(height, block, answer)
        case .sendAcknowledgement(let message): send(message)
        case .propose(let block, let stamp, let keys): propose(block, stamp: stamp, to: keys)
        case .relayProposal(let block, let stamp, let source): relay(block, stamp, except: source)
        case .announce(let commit, let peer): announce(commit, to: peer)
        case .announceAgain(let commit, let confirmed): announceAgain(commit, except: confirmed)
        case .fetchProposalElsewhere(let proposal, let announcer):
            Reactor.spawn { _ = await self.fetchElsewhere(proposal.proposal, except: announcer) }
        case .fetchLocked(let height, let block, let holders): fetchLocked(height, block, holders)
        case .askStatus(let keys): askStatus(of: keys)
        case .confirmCommit(let commit): confirm(commit)
        case .catchUp(let height, let peer): events.send(.behind(height, peer))
        case .broadcastReset(let reset): gossip.publish(GossipTopic.reset, reset.bytes, log: context.log)
        case .dropTransactions(let ids): mempool.drop(ids)
        case .letDown(let peer, let block, let times): letDown(by: peer, block, times: times)
        case .misbehaved(let peer, let error): penalize(peer, error)
        case .warn(let message, let height, let block, let reason):
            context.log.warning(
                message, ["height": .number(height), "block": .of(block), "reason": .text(reason)])
        case .halt(let error):
            context.observer.halted(error)
            end.fail(error)
        }
    }

    /// Reports a peer that broke the protocol.
    func penalize(_ peer: PeerID, _ error: ConsensusError) {
        context.log.warning("peer misbehaved", ["peer": .of(peer), "reason": .error(error)])
        // The peer may know a new leader before this node, and send a block that it signed.
        if case .notSignedByLeader = error {
            context.host.report(peer, .wrongContent)
        } else {
            context.host.report(peer, .lie)
        }
    }
}
