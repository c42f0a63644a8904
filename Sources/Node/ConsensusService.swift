import Bytes
import Chain
import Collections
import Consensus
import Crypto
import Execution
import LibP2P
import Multiformats
import Protocols
import Reactor
import Storage

/// Drives the consensus machine: hands it what peers, workers and the clock bring, and does what it asks for.
///
/// Runs on the reactor; signatures of blocks' transactions, execution, appending and votes run on workers, and their
/// results come back as events (docs/architecture.md).
@ReactorActor
final class ConsensusService {
    let context: NodeContext
    let mempool: MempoolService
    private(set) var machine: ConsensusMachine
    private var pending: [ConsensusEvent] = []
    private var isDraining = false
    private var wasSyncing = false
    private var clockDoubt: String?
    private(set) var isStopped = false
    private var timer: Timer?
    /// Blocks that the machine wanted from the peer whose announcement is being handled.
    var wanted: Set<Hash> = []
    /// Proofs of announced blocks that are on their way.
    var commits: [Hash: VerifiedCommit] = [:]

    /// The block that this process has committed last.
    var newest: CheckedBlock?
    /// Announced blocks whose proofs are being checked.
    let announcementChecks = CheckGate()
    /// Who has announced blocks that this node has still to commit.
    var holders = BlockHolders()
    /// Of whom announced blocks are fetched, and those that are being fetched.
    var sources = BlockSources()
    var fetches: OrderedDictionary<Hash, BlockFetch> = [:]
    /// Announcers that had not sent a byte of a block when another had sent all of it.
    var silent: OrderedDictionary<PeerID, BlockFetch> = [:]
    /// Doubtful peers whose announcements wait for another's.
    var hesitating: Set<PeerID> = []
    /// Answers whose signatures are being checked.
    var answersInCheck = AnswersInCheck()
    /// Proposed blocks that others than their announcers are asked for.
    var elsewhere: [ProposalSource: Task<Void, Never>] = [:]

    /// So much of a block counts as a part that came.
    nonisolated static let progressBytes = 64 << 10

    /// Blocks whose announcements are kept while they are fetched: the machine asks for two heights at most.
    nonisolated static let keptCommits = 16

    /// Who a peer is to this node.
    var rank: (PeerID) -> PeerRank = { _ in .stranger }
    /// Catches up to a height that the peer has told of.
    var catchUp: ((Int64, PeerID) -> Void)?
    /// A block of this height is proven to be committed.
    var onProof: ((Int64) -> Void)?
    /// A block is in the log and in the application.
    var onCommit: ((CheckedBlock, ExecutionResult) -> Void)?
    /// A peer had announced a block before this node committed it.
    var onProven: ((PeerID) -> Void)?
    /// The node begins to catch up (true), or has done so.
    var onSyncing: ((Bool) -> Void)?
    /// What is said against the clock has changed.
    var onClockDoubt: (() -> Void)?
    /// The node cannot go on.
    var onHalt: ((ConsensusError) -> Void)?
    /// Publishes on a gossip topic; does nothing while there is no gossip.
    var publish: ((RawText, [UInt8]) -> Void)?

    init(_ context: NodeContext, _ mempool: MempoolService, _ outcome: ChainRecovery.Outcome) throws {
        self.context = context
        self.mempool = mempool
        var settings = ConsensusSettings()
        let configuration = context.configuration.consensus
        settings.minimumBlockInterval = configuration.proposeTimeout
        settings.emptyBlockInterval = configuration.emptyBlockTimeout
        settings.resendInterval = configuration.blockProposalInterval
        settings.maximumResendInterval = max(settings.maximumResendInterval, settings.resendInterval)
        settings.announceInterval = configuration.blockAnnounceInterval
        settings.promotion = try configuration.promotion()
        machine = ConsensusMachine(
            key: context.key.publicKey, state: outcome.state, tipCommit: outcome.tipCommit,
            lastVote: context.votes.last, oldestVote: context.votes.votes.first?.height,
            votedBlock: outcome.votedBlock,
            reservedStamp: context.votes.stamps.end, settings: settings, now: Reactor.now)
    }

    /// Serves the consensus protocols.
    func start() {
        let (announcements, proposals) = (BlockAnnouncementProtocol(self), BlockProposalProtocol(self))
        let acknowledgements = AcknowledgementProtocol(self)
        context.host.setStreamHandler(KwilProtocol.blockAnnouncement) { await announcements.serve($0) }
        context.host.setStreamHandler(KwilProtocol.blockProposal) { await proposals.serve($0) }
        context.host.setStreamHandler(KwilProtocol.acknowledgement) { await acknowledgements.serve($0) }
        let (status, proposed) = (ConsensusStatusProtocol(self), ProposedBlockProtocol(self))
        let commits = CommitDoneProtocol(self)
        context.host.setStreamHandler(KwilProtocol.consensusStatus) { await status.serve($0) }
        context.host.setStreamHandler(KwilProtocol.proposedBlock) { await proposed.serve($0) }
        context.host.setStreamHandler(KwilProtocol.commitDone) { await commits.serve($0) }
        feed(.timer)
    }

    /// Does nothing more, whatever arrives.
    func stop() {
        isStopped = true
        timer?.cancel()
        endFetches(upTo: .max)
        for fetch in silent.values { fetch.end() }
        silent = [:]
    }

    // MARK: Machine

    /// Hands an event to the machine and does what it asks for, in order.
    func feed(_ event: ConsensusEvent) {
        guard !isStopped else { return }
        pending.append(event)
        guard !isDraining else { return }
        isDraining = true
        defer { isDraining = false }
        var actions: [ConsensusAction] = []
        while !pending.isEmpty, !isStopped {
            machine.handle(
                pending.removeFirst(), now: Reactor.now, wallClock: context.wallClock(), actions: &actions)
            for action in actions { perform(action) }
            actions.removeAll(keepingCapacity: true)
        }
        if machine.isSyncing != wasSyncing {
            wasSyncing = machine.isSyncing
            onSyncing?(wasSyncing)
        }
        if machine.clockDoubt != clockDoubt {
            clockDoubt = machine.clockDoubt
            onClockDoubt?()
        }
        timer?.cancel()
        guard let deadline = machine.deadline else { return }
        timer = Reactor.schedule(after: max(.zero, deadline - Reactor.now)) { [weak self] in
            self?.feed(.timer)
        }
    }

    private func perform(_ action: ConsensusAction) {
        switch action {
        case .fetchProposal(let proposal, _): wanted.insert(proposal.proposal.hash)
        case .fetchDecided(let commit, _):
            wanted.insert(commit.hash)
            if commits.count >= Self.keptCommits { commits.removeAll() }
            commits[commit.hash] = commit
        case .build(let template): build(template)
        case .reserveStamps(let stamp): reserve(stampsUpTo: stamp)
        case .execute(let block): execute(block)
        case .stopExecution: context.application.stop()
        case .rollBack: rollBack()
        case .commit(let block, let result, let commit): self.commit(block, result, commit)
        case .vote(let vote, let answer): record(vote, answer)
        case .refuse(let height, let block, let answer):
            send(AckRes(height: height, block: block, answer: answer, by: context.key))
        case .sendAcknowledgement(let message): send(message)
        case .propose(let block, let stamp, let keys): propose(block, stamp: stamp, to: keys)
        case .relayProposal(let block, let stamp, let source): relay(block, stamp, except: source)
        case .announce(let commit, let peer): announce(commit, to: peer)
        case .announceAgain(let commit, let confirmed): announceAgain(commit, except: confirmed)
        case .fetchProposalElsewhere(let proposal, let failed): fetchElsewhere(proposal, except: failed)
        case .fetchLocked(let height, let block, let holders): fetchLocked(height, block, holders)
        case .askStatus(let keys): askStatus(of: keys)
        case .confirmCommit(let commit): confirm(commit)
        case .catchUp(let height, let peer): catchUp?(height, peer)
        case .broadcastReset(let reset): publish?(GossipTopic.reset, reset.bytes)
        case .dropTransactions(let ids): mempool.drop(ids)
        case .letDown(let peer, let block, let times): letDown(by: peer, block, times: times)
        case .misbehaved(let peer, let error): penalize(peer, error)
        case .warn(let message, let height, let block, let reason):
            context.log.warning(
                message, ["height": .number(height), "block": .of(block), "reason": .text(reason)])
        case .halt(let error):
            context.observer.halted(error)
            onHalt?(error)
        }
    }

    /// A peer that breaks the protocol is not worth its connection.
    func penalize(_ peer: PeerID, _ error: ConsensusError) {
        context.log.warning("peer misbehaved", ["peer": .of(peer), "reason": .error(error)])
        // What another leader has signed may come from a peer that knows of a change before this node.
        if case .notSignedByLeader = error {
            context.host.report(peer, .wrongContent)
        } else {
            context.host.report(peer, .lie)
        }
    }
}
