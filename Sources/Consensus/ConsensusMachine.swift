import Chain
import Crypto
import Execution
import Multiformats
import Storage

/// A node's part in block production (docs/consensus.md; messages: docs/wire.md, sections 5 and 7): the leader
/// proposes and commits, validators execute and acknowledge, everyone else follows what was committed. The role
/// is derived, so it follows the validator set and the leader as they change.
///
/// A pure state machine: `handle` turns an event into actions. It holds the two heights above the tip, one lane
/// for the application (a block is executed, then committed or rolled back, then the next), and no queue.
public struct ConsensusMachine: Sendable {
    /// What this node is on the chain at its present height.
    public enum Role: String, Sendable {
        case leader, validator, sentry
    }

    enum Lane: Sendable {
        case idle
        case executing(CheckedBlock)
        /// Its execution has been told to give up.
        case stopping(CheckedBlock)
        case prepared(CheckedBlock, ExecutionResult)
        case rollingBack
        case committing(CheckedBlock, VerifiedCommit)
    }

    /// The chain after the newest committed block.
    public internal(set) var state: ChainState
    /// Proof of the newest committed block; nil before the first.
    public internal(set) var tipCommit: VerifiedCommit?
    /// The newest vote that this node recorded on disk.
    public internal(set) var lastVote: Vote?
    /// Why the machine stopped; it ignores every event after that.
    public internal(set) var halted: ConsensusError?
    /// The height that catching up runs towards, which may be a mere claim; nil when it does not.
    public internal(set) var syncTarget: Int64?
    /// The highest height of which it is proven that a block is committed; at least this node's own.
    public internal(set) var provenHeight: Int64
    /// Whether this node is behind, by what is proven, and catches up.
    public internal(set) var isSyncing = false
    /// Until when it counts as that if nothing more is proven.
    var levelAt: Duration = .zero
    /// When nothing above the tip was proven last.
    var wasLevelAt: Duration
    /// A height far above the tip that was proven and is being caught up to.
    var awaited: Int64?
    /// How often in a row nobody delivered such a height, and until when none is believed therefore.
    var undelivered = 0
    var believesAt: Duration = .zero
    /// The newest height that was announced to all, and when.
    var announcedHeight: Int64
    var announcedAt: Duration

    let key: PublicKey
    let settings: ConsensusSettings
    var lane = Lane.idle
    var current = ConsensusRound()
    var next = ConsensusRound()

    /// What the leader's next proposal waits for.
    enum Building: Sendable {
        case nothing
        /// The block to be made, with a time that fits after this stamp.
        case block(after: Int64)
        /// Its stamp to be reserved on disk. `isAgain`: it was acknowledged before, and may have been committed.
        case stamp(CheckedBlock, isAgain: Bool)
    }

    /// What is said against the wall clock of this node, or of the leader, at present; one line.
    public var clockDoubt: String? { doubt?.reason }
    var doubt: ClockDoubt?
    /// When the clock is looked at again because of it.
    var doubtAt: Duration = .zero
    /// Milliseconds since 1970, as the event said that is handled.
    var wallClock: UInt64 = 0

    var sources = ProposalSources()

    // The leader's own.
    var building = Building.nothing
    var mempoolCount = 0
    var nextBuild: Duration
    var lastBlock: Duration
    var abandonAt: Duration?
    var withdrawals = 0
    var stamps: ProposalStamps
    /// Not nil while the leader asks what it may propose.
    var recovery: LeaderRecovery?
    /// Whether the leader may have proposed at the present height in a life that it does not remember.
    var isAmnesiac = false
    /// The oldest height that this node remembers a vote of.
    var oldestVote: Int64?
    /// Blocks of the present height that the leader has withdrawn, as far as this node held them, the newest last.
    var withdrawn: [Hash] = []
    var lastReset: Duration?
    /// Transactions a block may have, while the leader looks for one that makes blocks fail.
    var transactionLimit = Int.max
    /// Validators that confirmed the newest block, and when the others are told again.
    var confirmed: Set<PublicKey> = []
    var confirmAt: Duration?
    var confirmWait: Duration
    /// When the leader may look into an unproven claim that it is behind, and into an answer that it cannot place.
    var nextHint: Duration = .zero
    var nextInquiry: Duration = .zero
    /// When a block that cannot be executed is next worth a warning.
    var nextComplaint: Duration = .zero
    // The re-sending of whatever waits for an answer: a proposal, or an acknowledgement.
    var resendAt: Duration?
    var resendWait: Duration
    var resends = 0
    var outOfSyncAt: Duration?
    /// The block that this node voted for, as long as nobody decided: it may be the only one to have it.
    var votedBlock: CheckedBlock?
    /// The votes of this process on blocks of the next height, and whether it has voted at a height that is committed.
    var ownVotes: [Vote] = []
    var hasVotedBelow = false
    /// When this process started: by the clock of waits, and in ms since 1970.
    var began: Duration?
    var startedAt: UInt64 = 0
    /// Validators that were seen to answer in two ways.
    var doubted: Set<PublicKey> = []
    /// What was proposed when the leader was last asked.
    var askedAbout: Hash?

    /// A machine at a committed tip.
    /// - Parameters:
    ///   - key: this node's public key.
    ///   - lastVote: from the vote log; votes that contradict it are never cast.
    ///   - oldestVote: the lowest height of the votes in the log.
    ///   - reservedStamp: up to which stamp the leader may have proposed, as its disk says; 0 for none.
    ///   - votedBlock: the block of the last vote, if it is at hand.
    public init(
        key: PublicKey, state: ChainState, tipCommit: VerifiedCommit?, lastVote: Vote?, oldestVote: Int64?,
        votedBlock: CheckedBlock? = nil, reservedStamp: Int64 = 0,
        settings: ConsensusSettings, now: Duration
    ) {
        self.key = key
        self.state = state
        self.tipCommit = tipCommit
        self.lastVote = lastVote
        self.oldestVote = oldestVote
        if let votedBlock, votedBlock.height == state.height &+ 1, votedBlock.hash == lastVote?.blockHash {
            self.votedBlock = votedBlock
        }
        self.settings = settings
        provenHeight = state.height
        announcedHeight = state.height
        announcedAt = now
        wasLevelAt = now
        nextBuild = now + settings.startDelay
        lastBlock = now
        // Stamps are a height's own: what was voted on at another says nothing.
        let voted = lastVote.map { $0.height == state.height &+ 1 ? $0.stamp : 0 } ?? 0
        stamps = ProposalStamps(reserved: reservedStamp, voted: voted)
        resendWait = settings.resendInterval
        confirmWait = settings.announceInterval
        considerRecovery(now)
    }

    /// Derived from the validator set and the leader at the present height.
    public var role: Role {
        if isLeader { .leader } else if state.validators.contains(key) { .validator } else { .sentry }
    }

    /// Takes one event and appends what is to be done about it.
    /// - Parameters:
    ///   - now: by the clock that all waits are measured with, which never goes back.
    ///   - wallClock: ms since 1970, which may be wrong and jump: the time of blocks, and of nothing else.
    public mutating func handle(
        _ event: ConsensusEvent, now: Duration, wallClock: UInt64, actions: inout [ConsensusAction]
    ) {
        guard halted == nil else { return }
        self.wallClock = wallClock
        noteStart(now, wallClock, &actions)
        settleDoubt(now)
        switch event {
        case .proposed(let proposal, let from): proposed(proposal, from, now, &actions)
        case .proposalFetched(let block, let from): proposalFetched(block, from, &actions)
        case .proposalFetchFailed(let hash, let from): proposalFetchFailed(hash, from, now, &actions)
        case .proposalArriving(let hash, let from): proposalArriving(hash, from, now)
        case .proposalInvalid(let block, let reason): proposalInvalid(block, reason, &actions)
        case .announced(let commit, let from): announced(commit, from, now, &actions)
        case .decided(let commit, let block): decided(commit, block, now)
        case .decidedFetchFailed(let hash, let from): decidedFetchFailed(hash, from, now, &actions)
        case .ahead(let height, let isOwn, let from):
            ahead(height, isOwn ? .ownSignature : .word, from, now, &actions)
        case .status(let status, let from): statusReceived(status, from, now, &actions)
        case .announcedAgain(let from): announcedAgain(from, &actions)
        case .commitDone(let message, let from): commitDone(message, from, now, &actions)
        case .lockedFetched(let block): lockedFetched(block, now, &actions)
        case .lockedFetchFailed(let hash): lockedFetchFailed(hash, &actions)
        case .acknowledged(let answer, let from): acknowledged(answer, from, now, &actions)
        case .ownVoteHeard(let answer): ownVoteHeard(answer.message, &actions)
        case .answeredInOwnName: answeredInOwnName(&actions)
        case .stampTold(let told): stampTold(told.stamp, &actions)
        case .reset(let reset): resetReceived(reset.reset, &actions)
        case .peerReady(let peer): peerReady(peer, &actions)
        case .built(let block): built(block, now, &actions)
        case .stampsReserved(let stamp): stampsReserved(stamp, now, &actions)
        case .executed(let hash, let result): executed(hash, result)
        case .executionFailed(let hash, let error): executionFailed(hash, error, now, &actions)
        case .rolledBack: lane = .idle
        case .voteRecorded(let vote, let message): voteRecorded(vote, message, now, &actions)
        case .committed(let hash): committed(hash, now, &actions)
        case .failed(let message): halt(.driver(message), &actions)
        case .mempool(let count): mempoolCount = count
        case .syncFinished: syncFinished(now, &actions)
        case .timer: break
        }
        runTimers(now, &actions)
        advance(now, &actions)
        judgeSyncing(now)
    }

    /// Takes the next step that the state allows: the one place where blocks are executed, rolled back and
    /// committed.
    mutating func advance(_ now: Duration, _ actions: inout [ConsensusAction]) {
        guard halted == nil else { return }
        switch lane {
        case .executing(let block):
            stopIfUnwanted(block, &actions)
        case .stopping, .rollingBack, .committing:
            return
        case .idle:
            if let retryAt = current.retryAt, now < retryAt { return }
            current.retryAt = nil
            if let decision = current.decision {
                if let block = current.decidedBlock { executeDecided(block, decision, &actions) }
            } else if let block = current.proposedBlock {
                if current.refused != block.hash { executeProposed(block, now, &actions) }
            } else if isLeader {
                buildIfDue(now, &actions)
            }
        case .prepared(let block, let result):
            if let decision = current.decision {
                if decision.hash == block.hash {
                    commit(block, result, decision, &actions)
                } else if current.decidedBlock != nil {
                    rollBack(&actions)
                }
            } else if current.proposedBlock?.hash != block.hash {
                rollBack(&actions)
            } else {
                if !current.hasVoted { agree(block, result, &actions) }
                if halted == nil, isLeader { commitIfAgreed(block, result, now, &actions) }
            }
        }
    }

    mutating func rollBack(_ actions: inout [ConsensusAction]) {
        lane = .rollingBack
        actions.append(.rollBack)
    }

    /// Commits a prepared block whose decision is here, if both say the same.
    mutating func commit(
        _ block: CheckedBlock, _ result: ExecutionResult, _ decision: VerifiedCommit,
        _ actions: inout [ConsensusAction]
    ) {
        guard result.appHash == decision.appHash else {
            return halt(
                .applicationHashDiffers(
                    height: block.height, own: result.appHash, committed: decision.appHash),
                &actions)
        }
        guard result.parameterUpdates(of: block) == decision.info.parameterUpdates,
            result.validatorUpdates == decision.info.validatorUpdates
        else {
            return halt(
                .mismatch(
                    "block \(block.height): its updates of parameters or validators differ from the committed"
                ),
                &actions)
        }
        lane = .committing(block, decision)
        actions.append(.commit(block, result, decision))
    }

    private mutating func executed(_ hash: Hash, _ result: ExecutionResult) {
        guard let block = runningBlock, block.hash == hash else { return }
        lane = .prepared(block, result)
        current.failures = 0
    }

    private mutating func committed(
        _ hash: Hash, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard case .committing(let block, let decision) = lane, block.hash == hash else { return }
        let (before, rules) = (role, [state.validatorSetHash, state.parametersHash])
        let isForeign = isForeignVote(in: decision)
        let isOwn = isLeader && current.proposedBlock?.hash == hash
        do throws(ConsensusError) {
            state = try state.after(block.header, hash: hash, commit: decision.info)
        } catch {
            return halt(error, &actions)
        }
        lane = .idle
        tipCommit = decision
        current = next
        next = ConsensusRound()
        if let proposal = current.proposal, proposal.previousHash != hash || current.signer != proposer {
            current.clearProposal()
        }
        let leader = proposer
        current.offers.removeAll { $0.proposal.previousHash != hash || $0.leader != leader }
        lastBlock = now
        judgeTip(&actions)
        forgetHeight()
        announceCommitted(
            decision, hasNewRules: rules != [state.validatorSetHash, state.parametersHash], now, &actions)
        takeRole(after: before, ofOwn: isOwn, now, &actions)
        if isForeign { halt(.keyUsedElsewhere(height: state.height, block: hash), &actions) }
    }

    /// Forgets what was noted about the height that is decided now.
    private mutating func forgetHeight() {
        abandonAt = nil
        withdrawals = 0
        withdrawn = []
        stamps.beginHeight()
        if !ownVotes.isEmpty { hasVotedBelow = true }
        ownVotes = []
        resendAt = nil
        resends = 0
        resendWait = settings.resendInterval
        votedBlock = nil
        askedAbout = nil
        confirmed = []
        confirmAt = nil
        confirmWait = settings.announceInterval
        if transactionLimit < .max {
            transactionLimit = transactionLimit > 10_000 ? .max : transactionLimit * 2
        }
    }

    /// The validators or the leader may have changed with the block: what belongs to another role is dropped.
    private mutating func takeRole(
        after before: Role, ofOwn isOwn: Bool, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        if role != .validator {
            current.clearProposal()
            current.offers = []
        }
        guard role == .leader else {
            recovery = nil
            if role == .validator, before != .validator, let proposer {
                actions.append(.askStatus(of: [proposer]))
            }
            return
        }
        confirmAt = now + confirmWait
        if isOwn {
            recovery = nil
            isAmnesiac = false
        } else if before != .leader || isAmnesiac || recovery != nil || candidate == key {
            considerRecovery(now)
        }
    }

    mutating func halt(_ error: ConsensusError, _ actions: inout [ConsensusAction]) {
        halted = error
        actions.append(.halt(error))
    }

    mutating func misbehaved(_ peer: PeerID, _ what: String, _ actions: inout [ConsensusAction]) {
        actions.append(.misbehaved(peer, .mismatch(what)))
    }
}
