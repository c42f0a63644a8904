import Chain
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
    private let context: NodeContext
    private let mempool: MempoolService
    private(set) var machine: ConsensusMachine
    private var pending: [ConsensusEvent] = []
    private var isDraining = false
    private var timer: Timer?
    private var announceTimer: Timer?
    /// The height at the last look of `announceAgain`.
    private var announcedAt: Int64?
    /// Blocks that the machine wanted from the peer whose announcement is being handled.
    private var wanted: Set<Hash> = []
    /// Proofs of announced blocks that are on their way.
    private var commits: [Hash: VerifiedCommit] = [:]

    /// Blocks whose announcements are kept while they are fetched: the machine asks for two heights at most.
    private nonisolated static let keptCommits = 16

    /// Catches up to a height that the peer has told of.
    var catchUp: ((Int64, PeerID) -> Void)?
    /// A block is in the log and in the application.
    var onCommit: ((CheckedBlock, ExecutionResult) -> Void)?
    /// The node cannot go on.
    var onHalt: ((ConsensusError) -> Void)?
    /// Publishes on a gossip topic; does nothing while there is no gossip.
    var publish: ((String, [UInt8]) -> Void)?

    init(_ context: NodeContext, _ mempool: MempoolService, state: ChainState, tipCommit: VerifiedCommit?) {
        self.context = context
        self.mempool = mempool
        var settings = ConsensusSettings()
        let configuration = context.configuration.consensus
        settings.minimumBlockInterval = configuration.proposeTimeout
        settings.emptyBlockInterval = configuration.emptyBlockTimeout
        settings.resendInterval = configuration.blockProposalInterval
        settings.maximumResendInterval = max(settings.maximumResendInterval, settings.resendInterval)
        machine = ConsensusMachine(
            key: context.key.publicKey, state: state, tipCommit: tipCommit, lastVote: context.votes.last,
            settings: settings, now: Reactor.now)
    }

    /// Serves the consensus protocols.
    func start() {
        let (announcements, proposals) = (BlockAnnouncementProtocol(self), BlockProposalProtocol(self))
        let acknowledgements = AcknowledgementProtocol(self)
        context.host.setStreamHandler(KwilProtocol.blockAnnouncement) { await announcements.serve($0) }
        context.host.setStreamHandler(KwilProtocol.blockProposal) { await proposals.serve($0) }
        context.host.setStreamHandler(KwilProtocol.acknowledgement) { await acknowledgements.serve($0) }
        feed(.timer)
        announceAgain()
    }

    func stop() {
        timer?.cancel()
        announceTimer?.cancel()
    }

    /// The leader announces its newest block again while it stays the newest: whoever missed it hears of no other.
    private func announceAgain() {
        let tip = machine.tipCommit
        if machine.role == .leader, let tip, tip.height == announcedAt { announce(tip, to: nil) }
        announcedAt = tip?.height
        let interval = context.configuration.consensus.blockAnnounceInterval
        announceTimer = Reactor.schedule(after: interval) { [weak self] in self?.announceAgain() }
    }

    // MARK: Machine

    /// Hands an event to the machine and does what it asks for, in order.
    func feed(_ event: ConsensusEvent) {
        pending.append(event)
        guard !isDraining else { return }
        isDraining = true
        defer { isDraining = false }
        var actions: [ConsensusAction] = []
        while !pending.isEmpty {
            machine.handle(pending.removeFirst(), now: Reactor.now, actions: &actions)
            for action in actions { perform(action) }
            actions.removeAll(keepingCapacity: true)
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
        case .execute(let block): execute(block)
        case .rollBack: rollBack()
        case .commit(let block, let result, let commit): self.commit(block, result, commit)
        case .vote(let vote, let answer): record(vote, answer)
        case .refuse(let height, let block, let answer):
            send(AckRes(height: height, block: block, answer: answer, by: context.key))
        case .sendAcknowledgement(let message): send(message)
        case .propose(let block, let keys): propose(block, to: keys)
        case .relayProposal(let block, let source): relay(block, except: source)
        case .announce(let commit, let peer): announce(commit, to: peer)
        case .catchUp(let height, let peer): catchUp?(height, peer)
        case .broadcastReset(let reset): publish?(GossipTopic.reset, reset.bytes)
        case .dropTransactions(let ids): mempool.drop(ids)
        case .misbehaved(let peer, let error):
            context.logger.warning("peer misbehaved", metadata: ["peer": "\(peer)", "error": "\(error)"])
            context.host.disconnect(peer)
        case .warn(let text): context.logger.warning("\(text)")
        case .halt(let error): onHalt?(error)
        }
    }

    // MARK: Workers

    private func build(_ template: BlockTemplate) {
        let state = template.state
        let transactions = mempool.propose(maxBytes: Int(clamping: state.parameters.maxBlockSize))
        guard !transactions.isEmpty || template.mayBeEmpty else { return feed(.built(nil)) }
        let timestamp = max(context.wallClock(), template.after &+ 1)
        let key = context.key
        Reactor.spawn {
            let block = try? await self.context.checks.run {
                let header = BlockHeader(
                    height: state.height &+ 1, transactionCount: 0, previousHash: state.hash,
                    previousAppHash: state.appHash, validatorSetHash: state.validatorSetHash,
                    networkParametersHash: state.parametersHash, timestamp: timestamp, merkleRoot: .zero)
                let block = Block.signed(header, transactions: transactions, by: key)
                return CheckedBlock(trusting: block, transactions: transactions)
            }
            self.feed(.built(block))
        }
    }

    private func execute(_ block: CheckedBlock) {
        let (application, state) = (context.application, machine.state)
        Reactor.spawn {
            do {
                let result = try await self.context.execution.run {
                    try application.execute(
                        block.block, transactions: block.transactions, parameters: state.parameters,
                        validators: state.validators)
                }
                self.feed(.executed(block.hash, result))
            } catch {
                self.feed(.executionFailed(block.hash, "\(error)"))
            }
        }
    }

    private func rollBack() {
        let application = context.application
        Reactor.spawn {
            do {
                try await self.context.execution.run { try application.rollback() }
                self.feed(.rolledBack)
            } catch {
                self.feed(.failed("\(error)"))
            }
        }
    }

    /// The log first and durably, then the application, which is therefore never ahead of it.
    private func commit(_ block: CheckedBlock, _ result: ExecutionResult, _ commit: VerifiedCommit) {
        let (store, application) = (context.store, context.application)
        Reactor.spawn {
            do {
                try await self.context.storage.run {
                    try store.append(block.block, commit.info, result.results)
                }
                try await self.context.execution.run { try application.commit() }
            } catch {
                return self.feed(.failed("\(error)"))
            }
            self.mempool.committed(block.transactions.map(\.id), result.accounts)
            self.commits[block.hash] = nil
            // The machine first: what catching up delivers next must find it at the new height.
            self.feed(.committed(block.hash))
            self.onCommit?(block, result)
            self.feed(.mempool(count: self.mempool.readyCount))
        }
    }

    private func record(_ vote: Vote, _ answer: AckRes.Answer) {
        let (votes, key) = (context.votes, context.key)
        Reactor.spawn {
            do {
                let message = try await self.context.storage.run {
                    try votes.record(vote)
                    return AckRes(height: vote.height, block: vote.blockHash, answer: answer, by: key)
                }
                self.feed(.voteRecorded(vote, message))
            } catch {
                self.feed(.failed("\(error)"))
            }
        }
    }

    /// Checks a block off the reactor; signatures that the mempool has checked are not checked again.
    func check(_ block: Block, expected: Hash) async throws -> CheckedBlock {
        let ids = try await context.checks.run { block.transactionIDs }
        let known = mempool.checked(ids)
        let chainID = context.genesis.chainID
        return try await context.checks.run {
            try CheckedBlock(checking: block, expected: expected, chainID: chainID) { known[$0] }
        }
    }

    // MARK: Sending

    private func send(_ message: AckRes) {
        publish?(GossipTopic.acknowledgements, message.bytes)
        guard let leader = machine.state.leader?.peerID, context.host.connectedPeers.contains(leader) else {
            return
        }
        Reactor.spawn {
            do {
                try await AcknowledgementProtocol.send(message, to: leader, on: self.context.host)
            } catch {
                // The machine sends again while the block is the latest.
                self.context.logger.debug("acknowledgement not sent", metadata: ["error": "\(error)"])
            }
        }
    }

    private func propose(_ block: CheckedBlock, to keys: [PublicKey]?) {
        let own = context.key.publicKey
        let validators = keys ?? machine.state.validators.keys
        send(block, to: validators.filter { $0 != own }.map(\.peerID))
    }

    private func relay(_ block: CheckedBlock, except source: PeerID) {
        let own = context.key.publicKey
        let leader = machine.state.leader
        let others = machine.state.validators.keys.filter { $0 != own && $0 != leader }
        send(block, to: others.map(\.peerID).filter { $0 != source })
    }

    private func send(_ block: CheckedBlock, to peers: [PeerID]) {
        let connected = Set(context.host.connectedPeers)
        let proposal = BlockProposal(block.block, sender: context.key.publicKey)
        for peer in peers where connected.contains(peer) {
            Reactor.spawn {
                do {
                    try await BlockProposalProtocol.announce(
                        proposal, block: block.block.bytes, to: peer, on: self.context.host)
                } catch {
                    self.context.logger.debug(
                        "proposal not sent", metadata: ["peer": "\(peer)", "error": "\(error)"])
                }
            }
        }
    }

    /// To one peer, or to all: validators first.
    private func announce(_ commit: VerifiedCommit, to peer: PeerID?) {
        let stored = try? context.store.block(at: commit.height)
        guard let block = (stored ?? nil)?.block else { return }
        let message = SharedBytes(commit.announcement.bytes)
        let validators = Set(machine.state.validators.keys.map(\.peerID))
        let all = context.host.connectedPeers
        let peers =
            peer.map { [$0] } ?? all.filter(validators.contains) + all.filter { !validators.contains($0) }
        for peer in peers {
            Reactor.spawn {
                do {
                    try await BlockAnnouncementProtocol.announce(
                        message, block: block, to: peer, on: self.context.host)
                } catch {
                    self.context.logger.debug(
                        "announcement not sent", metadata: ["peer": "\(peer)", "error": "\(error)"])
                }
            }
        }
    }
}

/// Gossip topics (docs/wire.md, section 7).
enum GossipTopic {
    /// Validators' answers to proposals.
    static let acknowledgements = "acks"
    /// The leader's withdrawals.
    static let reset = "reset"
}

extension ConsensusService: ConsensusInbox {
    var leader: PublicKey? { machine.state.leader }

    func mayWant(_ proposal: BlockProposal) -> Bool { machine.wantsToCheck(proposal, now: Reactor.now) }

    func proposed(_ proposal: BlockProposal, from peer: PeerID) -> Bool {
        guard let leader, let verified = try? VerifiedProposal(verifying: proposal, leader: leader) else {
            return false
        }
        feed(.proposed(verified, from: peer))
        return wanted.remove(proposal.hash) != nil
    }

    func received(_ block: Block, for proposal: BlockProposal, from peer: PeerID) async {
        do {
            let checked = try await check(block, expected: proposal.hash)
            feed(.proposalFetched(checked, from: peer, wallClock: context.wallClock()))
        } catch ConsensusError.invalidBlock {
            feed(.proposalInvalid(proposal.hash))
        } catch {
            feed(.proposalFetchFailed(proposal.hash, from: peer))
        }
    }

    func failed(_ proposal: BlockProposal, _ error: ProtocolsError, from peer: PeerID) {
        feed(.proposalFetchFailed(proposal.hash, from: peer))
    }

    func mayWant(_ announcement: BlockAnnouncement) -> Bool {
        machine.wantsToCheck(announcementOf: announcement.hash, height: announcement.height)
    }

    func announced(_ announcement: BlockAnnouncement, from peer: PeerID) -> Bool {
        let state = machine.state
        guard machine.canProve(announcement.header) else {
            feed(.ahead(height: announcement.height, proven: true, from: peer))
            return false
        }
        guard let leader = state.leader,
            let commit = try? VerifiedCommit(
                verifying: announcement, leader: leader, validators: state.validators)
        else {
            context.logger.warning(
                "announcement without enough votes",
                metadata: ["peer": "\(peer)", "height": "\(announcement.height)"])
            return false
        }
        feed(.announced(commit, from: peer))
        return wanted.remove(announcement.hash) != nil
    }

    func received(_ block: Block, for announcement: BlockAnnouncement, from peer: PeerID) async {
        guard let commit = commits.removeValue(forKey: announcement.hash) else { return }
        do {
            feed(.decided(commit, try await check(block, expected: announcement.hash)))
        } catch {
            context.logger.warning(
                "announced block is wrong", metadata: ["peer": "\(peer)", "error": "\(error)"])
            feed(.decidedFetchFailed(announcement.hash, from: peer))
        }
    }

    func failed(_ announcement: BlockAnnouncement, _ error: ProtocolsError, from peer: PeerID) {
        commits[announcement.hash] = nil
        feed(.decidedFetchFailed(announcement.hash, from: peer))
    }

    func hinted(height: Int64, hash: Hash, from peer: PeerID) {
        feed(.ahead(height: height, proven: false, from: peer))
    }

    func mayWant(_ answer: AckRes) -> Bool { machine.wantsToCheck(answer, now: Reactor.now) }

    func acknowledged(_ answer: AckRes, from peer: PeerID) {
        guard let leader, let verified = try? VerifiedAcknowledgement(verifying: answer, leader: leader)
        else {
            return
        }
        feed(.acknowledged(verified, from: peer))
    }
}
