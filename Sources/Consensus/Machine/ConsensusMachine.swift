import Chain
import Collections
import Crypto
import Execution
import Multiformats
import Reactor

/// A node's part in block production (docs/consensus.md; messages: docs/wire.md, sections 5 and 7): the leader
/// proposes and commits, validators execute and acknowledge, all other nodes follow committed blocks.
///
/// It holds the two heights above the tip, decided blocks that follow them while it catches up, one lane for the
/// application (a block is executed, then committed or rolled back, then the next), and no other queue. `role` holds the
/// state that only one role needs, and changes with the validators and the leader.
public struct ConsensusMachine: Machine {
    enum Lane: Sendable {
        case idle
        case executing(CheckedBlock)
        /// The execution has been told to stop.
        case stopping(CheckedBlock)
        case prepared(CheckedBlock, ExecutionResult)
        case rollingBack
        case committing(CheckedBlock, VerifiedCommit)
        /// The blocks are executed, then committed together.
        case committingRun(DecidedRun)

        /// The block in the lane.
        var block: CheckedBlock? {
            switch self {
            case .executing(let block), .stopping(let block), .prepared(let block, _),
                .committing(let block, _):
                block
            case .committingRun(let run): run.blocks.first?.block
            case .idle, .rollingBack: nil
            }
        }
    }

    /// The chain after the newest committed block.
    private(set) var state: ChainState
    /// The newest block's commit; nil before the first block.
    private(set) var tipCommit: VerifiedCommit?
    /// The reason for which the machine stopped, after which it ignores every event.
    private(set) var halted: ConsensusError?

    let key: PublicKey
    let settings: ConsensusSettings
    /// The earliest time of the first proposal: until then peers can report the chain's height.
    let opening: Duration

    var role: Role
    var lane = Lane.idle
    var current = ConsensusRound()
    var next = ConsensusRound()
    /// Decided blocks above those of `current` and `next`, in order.
    var following = Deque<DecidedBlock>()
    /// The blocks up to this height are committed one at a time, because they could not be committed together.
    var aloneUpTo = Int64.min
    var heights: Heights
    var announcing: Announcing
    var votes: OwnVotes
    var stamps: ProposalStamps
    var start = ProcessStart()
    /// Why the wall clock of this node or of the leader is in doubt.
    var doubt: ClockDoubt?
    /// Whether the mempool has transactions that a block may hold now.
    var hasTransactions = false
    /// The earliest time of the next warning about a block that cannot be executed or proposed.
    var nextComplaint: Duration = .zero
    var timers = TimerTable<Timer>()
    /// The wall clock at the current event, ms since 1970.
    private(set) var wallClock: UInt64 = 0

    /// Creates a machine whose newest committed block is that of `state`.
    /// - Parameters:
    ///   - key: this node's public key.
    ///   - lastVote: from the vote log; votes that contradict it are never cast.
    ///   - oldestVote: the lowest height of the votes in the log.
    ///   - reservedStamp: the highest stamp reserved on disk, which a leader may have used; 0 for none.
    ///   - votedBlock: the block of the last vote, if this node still has it.
    public init(
        key: PublicKey, state: ChainState, tipCommit: VerifiedCommit?, lastVote: Vote?, oldestVote: Int64?,
        votedBlock: CheckedBlock? = nil, reservedStamp: Int64 = 0,
        settings: ConsensusSettings, now: Duration
    ) {
        self.key = key
        self.state = state
        self.tipCommit = tipCommit
        self.settings = settings
        opening = now + settings.startDelay
        heights = Heights(tip: state.height, now: now)
        announcing = Announcing(tip: state.height, now: now)
        votes = OwnVotes(last: lastVote, oldestHeight: oldestVote, block: votedBlock, tip: state.height)
        // Each height has its own stamps: a vote at another height is irrelevant.
        stamps = ProposalStamps(
            reserved: reservedStamp, voted: votes.last(at: state.height &+ 1)?.stamp ?? 0)
        role = .follower
        takeRole(after: nil, now)
        armTimers(now)
    }

    // MARK: Events and questions

    /// Handles one event and appends the actions that follow from it.
    public mutating func handle(
        _ event: ConsensusEvent, at now: Instant, actions: inout [ConsensusAction]
    ) {
        step(at: now, &actions, ifHalted: ()) { machine, now, actions in machine.take(event, now, &actions) }
    }

    private mutating func take(
        _ event: ConsensusEvent, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        switch event {
        case .proposalFetched(let block, let from): proposalFetched(block, from, now, &actions)
        case .proposalArriving(let hash, let from): proposalArriving(hash, from, now)
        case .proposalInvalid(let block, let reason): proposalInvalid(block, reason, &actions)
        case .decided(let commit, let block): decided(commit, block, now)
        case .synced(let blocks): for one in blocks { decided(one.commit, one.block, now) }
        case .decidedFetchFailed(let hash, let from): decidedFetchFailed(hash, from, now, &actions)
        case .ahead(let height, let isOwn, let from):
            ahead(height, isOwn ? .ownSignature : .word, from, now, &actions)
        case .announcedAgain(let from): announcedAgain(from, &actions)
        case .commitDone(let message, let from): commitDone(message, from, now, &actions)
        case .lockedFetched(let block): lockedFetched(block, now, &actions)
        case .lockedFetchFailed(let hash): lockedFetchFailed(hash, &actions)
        case .acknowledged(let answer, let from): acknowledged(answer, from, now, &actions)
        case .ownVoteHeard(let answer): ownVoteHeard(answer.message, &actions)
        case .answeredInOwnName: answeredInOwnName(&actions)
        case .stampTold(let told): stampTold(told.message, &actions)
        case .reset(let reset): resetReceived(reset.message, &actions)
        case .peerReady(let peer): peerReady(peer, &actions)
        case .built(let block): built(block, now, &actions)
        case .stampsReserved(let stamp): stampsReserved(stamp, now, &actions)
        case .executed(let hash, let result): executed(hash, result)
        case .executionFailed(let hash, let error): executionFailed(hash, error, now, &actions)
        case .rolledBack: lane = .idle
        case .voteRecorded(let vote, let message): voteRecorded(vote, message, now, &actions)
        case .committed(let hash): committed(hash, now, &actions)
        case .runCommitted(let count): runCommitted(count, now, &actions)
        case .runFailed: runFailed()
        case .failed(let message): halt(.driver(message), &actions)
        case .mempool(let hasTransactions): self.hasTransactions = hasTransactions
        case .syncFinished: syncFinished(now, &actions)
        case .timer: break
        }
    }

    /// Handles an event or a question, then the timers that are due, then takes the next step that the state allows.
    mutating func step<Answer>(
        at instant: Instant, _ actions: inout [ConsensusAction], ifHalted answer: Answer,
        _ body: (inout ConsensusMachine, Duration, inout [ConsensusAction]) -> Answer
    ) -> Answer {
        guard halted == nil else { return answer }
        let (now, before, first) = (instant.elapsed, view, actions.count)
        wallClock = instant.wallClock
        if start.note(now, wallClock) { judgeTip(&actions) }
        settleDoubt()
        let answer = body(&self, now, &actions)
        withdrawIfTooEarly(now, &actions)
        followArrivals(now, &actions)
        runTimers(now, &actions)
        advance(now, &actions)
        heights.judgeSyncing(tip: state.height, now: now)
        armTimers(now)
        let view = view
        if !view.says(the: before) { actions.insert(.publish(view), at: first) }
        return answer
    }

    // MARK: Commits

    private mutating func committed(
        _ hash: Hash, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard case .committing(let block, let decision) = lane, block.hash == hash else { return }
        settle(block, decision, now, &actions)
    }

    /// Moves the tip to a block that is in the log and in the application.
    mutating func settle(
        _ block: CheckedBlock, _ decision: VerifiedCommit, _ now: Duration,
        _ actions: inout [ConsensusAction]
    ) {
        let (former, rules) = (role, [state.validatorSetHash, state.parametersHash])
        let isForeign = isForeignVote(in: decision)
        let isOwn = isLeader && current.proposedBlock?.hash == block.hash
        do throws(ConsensusError) {
            state = try state.after(block.header, hash: block.hash, commit: decision.info)
        } catch {
            return halt(error, &actions)
        }
        lane = .idle
        tipCommit = decision
        beginRound()
        stamps.beginHeight()
        votes.beginHeight()
        takeRole(after: former, committedOwn: isOwn, now)
        judgeTip(&actions)
        announceCommitted(
            decision, hasNewRules: rules != [state.validatorSetHash, state.parametersHash], now, &actions)
        if isValidator, former.name != .validator, let proposer { actions.append(.askStatus(of: [proposer])) }
        if isForeign { halt(.keyUsedElsewhere(height: state.height, block: block.hash), &actions) }
    }

    /// Makes the next round the current one. Keeps its proposals that follow the new tip.
    private mutating func beginRound() {
        current = next
        next = ConsensusRound()
        if let decided = following.popFirst() { next.outcome = .decided(decided.commit, decided.block) }
        let leader = proposer
        if let proposal = current.proposal, proposal.previousHash != state.hash || current.signer != leader {
            current.clearProposal()
        }
        current.offers.removeAll { $0.proposal.previousHash != state.hash || $0.leader != leader }
    }

    mutating func halt(_ error: ConsensusError, _ actions: inout [ConsensusAction]) {
        halted = error
        timers = TimerTable()
        actions.append(.halt(error))
    }
}
