import Chain
import Crypto
import Execution
import Multiformats

/// Leading: building and proposing blocks, counting answers, committing, and withdrawing proposals that cannot pass.
extension ConsensusMachine {
    /// Whether the leader only waits for the time to build a block.
    private var isReadyToBuild: Bool {
        guard let leader, case .nothing = leader.building, leader.recovery == nil, !isBehind,
            current.decision == nil, current.proposedBlock == nil, case .idle = lane
        else { return false }
        return true
    }

    /// When the leader builds the next block, unless an event precedes it.
    var buildDeadline: Duration? {
        guard isReadyToBuild, let leader else { return nil }
        if hasTransactions || candidate == key { return leader.nextBuild }
        guard settings.emptyBlockInterval > .zero else { return nil }
        return max(leader.nextBuild, leader.lastBlock + settings.emptyBlockInterval)
    }

    mutating func buildIfDue(_ now: Duration, _ actions: inout [ConsensusAction]) {
        guard let due = buildDeadline, now >= due, var leader else { return }
        leader.building = .block(after: stamps.last)
        leader.nextBuild = now + settings.minimumBlockInterval
        self.leader = leader
        // A promoted leader takes office with its first block, even an empty one.
        let isDue =
            settings.emptyBlockInterval > .zero && now >= leader.lastBlock + settings.emptyBlockInterval
        actions.append(
            .build(
                BlockTemplate(
                    state: state, after: stamps.last, transactionLimit: leader.transactionLimit,
                    newLeader: candidate, mayBeEmpty: isDue || candidate == key)))
    }

    mutating func built(_ block: CheckedBlock?, _ now: Duration, _ actions: inout [ConsensusAction]) {
        guard case .block(let after) = leader?.building else { return }
        leader?.building = .nothing
        guard let block else {
            // No transaction can go into a block yet. The next change of the mempool leads here again.
            hasTransactions = false
            return
        }
        guard isReadyToBuild, block.header.previousHash == state.hash, block.height == state.height &+ 1
        else { return }
        guard stamps.last == after else {
            // A validator has reported a newer stamp meanwhile: build again, with a newer time.
            leader?.nextBuild = now
            return
        }
        do {
            // Others must not accept a block time that this node's own clock does not allow.
            try BlockValidation.check(block, follows: state, wallClock: wallClock)
        } catch {
            return complain("not proposing this node's own block", block, "\(error)", now, &actions)
        }
        prepareProposal(block, isAgain: false, now, &actions)
    }

    /// Proposes a block under the next stamp, once that is reserved on disk.
    mutating func prepareProposal(
        _ block: CheckedBlock, isAgain: Bool, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        let time = isAgain ? max(block.stamp, Int64(clamping: wallClock)) : block.stamp
        let stamp = stamps.next(notBefore: time)
        if let end = stamps.reservation(for: stamp) {
            leader?.building = .stamp(block, isAgain: isAgain)
            return actions.append(.reserveStamps(upTo: end))
        }
        propose(block, stamp: stamp, isAgain: isAgain, now, &actions)
    }

    mutating func stampsReserved(_ stamp: Int64, _ now: Duration, _ actions: inout [ConsensusAction]) {
        stamps.reserve(upTo: stamp)
        guard case .stamp(let block, let isAgain) = leader?.building else { return }
        leader?.building = .nothing
        guard block.header.previousHash == state.hash, isAgain ? mayProposeAgain : isReadyToBuild else {
            // The block may have been committed: ask for it again before proposing another.
            if isAgain, current.proposedBlock == nil { considerRecovery(now) }
            return
        }
        prepareProposal(block, isAgain: isAgain, now, &actions)
    }

    /// Whether a block that was acknowledged before may be proposed. It waits neither for the lane nor for heights
    /// claimed above the tip.
    var mayProposeAgain: Bool {
        isLeader && current.decision == nil && current.proposedBlock == nil && !isCommitting
    }

    /// Proposes a block to the validators, under the stamp that orders proposals.
    private mutating func propose(
        _ block: CheckedBlock, stamp: Int64, isAgain: Bool, _ now: Duration,
        _ actions: inout [ConsensusAction]
    ) {
        guard let leader else { return }
        stamps.use(stamp)
        current.clearProposal()
        current.proposedBlock = block
        current.stamp = stamp
        self.leader?.tally = Tally(mayBeCommitted: isAgain)
        self.leader?.resending.begin()
        timers.arm(.resend, at: now + leader.resending.first)
        timers.arm(.abandon, at: now + settings.proposalTimeout * (1 << min(leader.withdrawals, 6)))
        actions.append(.propose(block, stamp: stamp, to: nil))
    }

    mutating func acknowledged(
        _ answer: VerifiedAcknowledgement, _ from: PeerID, _ now: Duration,
        _ actions: inout [ConsensusAction]
    ) {
        guard let leader, state.validators.contains(answer.voter) else { return }
        let message = answer.message
        if answer.voter == key { return ownVoteHeard(message, &actions) }
        if case .outOfSync(let best, _) = message.answer {
            if best.height > state.height {
                let isProven = answer.proof.map(state.isBasis) ?? false
                ahead(best.height, isProven ? .proof : .word, answer.voter.peerID, now, &actions)
            } else if let proof = answer.proof, proof.height == state.height, proof.hash != state.hash {
                halt(.forked(height: proof.height, own: state.hash, committed: proof.hash), &actions)
            }
            return
        }
        if message.height <= state.height {
            // The answer is not late but repeated: the validator missed the announcement.
            if let tipCommit, isAskingAgain(now) {
                actions.append(.announce(tipCommit, to: answer.voter.peerID))
            }
            return
        }
        guard message.height == state.height &+ 1 else { return }
        guard message.block == current.proposedBlock?.hash else {
            return answerStray(message.block, answer.voter, now, &actions)
        }
        if !leader.tally.answered(by: answer.voter) {
            self.leader?.tally.add(answer)
        } else if !leader.tally.holds(message) {
            answeredTwice(answer, &actions)
        }
    }

    /// Whether the newest block is so old that an answer to an earlier one is repeated rather than late.
    func isAskingAgain(_ now: Duration) -> Bool {
        leader.map { now >= $0.lastBlock + settings.resendInterval / 2 } ?? false
    }

    /// Responds to a validator's answer on a block other than the current proposal: the validator missed the
    /// withdrawal, or has a proposal that this node has forgotten.
    private mutating func answerStray(
        _ block: Hash, _ voter: PublicKey, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard var leader, now >= leader.nextInquiry else { return }
        leader.nextInquiry = now + settings.resendInterval / 4
        self.leader = leader
        if leader.withdrawn.contains(block), current.proposedBlock == nil {
            actions.append(.broadcastReset(ConsensusReset(height: state.height, transactions: [])))
        } else if let proposed = current.proposedBlock {
            actions.append(.propose(proposed, stamp: current.stamp, to: [voter]))
        } else {
            actions.append(.askStatus(of: [voter]))
        }
    }

    mutating func commitIfAgreed(
        _ block: CheckedBlock, _ result: ExecutionResult, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard let tally = leader?.tally else { return }
        let count = tally.count(appHash: result.appHash)
        if count.agreed >= state.validators.quorum {
            let info = CommitInfo(
                appHash: result.appHash, votes: tally.votes(appHash: result.appHash),
                parameterUpdates: result.parameterUpdates(of: block),
                validatorUpdates: result.validatorUpdates)
            let decision = VerifiedCommit(
                trusting: BlockAnnouncement(block.block, info))
            return commit(block, result, decision, &actions)
        }
        let unanswered = state.validators.count - tally.answers.count
        guard count.agreed + unanswered < state.validators.quorum else { return }
        if let other = tally.largestFork(than: result.appHash) {
            if other.votes >= state.validators.quorum {
                return halt(
                    .applicationHashDiffers(
                        height: block.height, own: result.appHash, committed: other.appHash),
                    &actions)
            }
            // The remaining validators decide which side is wrong.
            if other.votes + unanswered >= state.validators.quorum { return }
        }
        let (reason, cause) = refusal(of: block, tally.unexplained, count.rejected, count.forked)
        withdraw(reason, cause, now, &actions)
    }

    /// Returns why validators do not agree. Those that find the block's time too early answer `unknown`, which is no
    /// objection to its transactions.
    private func refusal(
        of block: CheckedBlock, _ unexplained: Int, _ rejected: Int, _ forked: Int
    ) -> (String, Role.Leader.Withdrawal) {
        let others = rejected - unexplained + forked
        guard unexplained > 0, state.validators.count - others >= state.validators.quorum else {
            return ("\(rejected) validators refuse it, \(forked) computed another hash", .refused)
        }
        let time = block.header.timestamp
        let step =
            state.timestamp == 0
            ? "" : ", \((time - min(state.timestamp, time)) / 1000) s after the block before it"
        return (
            "\(unexplained) validators refuse it without calling it invalid, as they do when its time is ahead of their clocks: by this node's clock it is \(time / 1000) s since 1970\(step)",
            .tooEarly(isKnown: false)
        )
    }

    /// Withdraws the leader's own proposal: all nodes forget it and stop executing it, and a new one follows after a wait,
    /// longer each time.
    ///
    /// A refused block may contain a transaction that fails on every node. The next block has half as many transactions, and
    /// so on; a transaction that is refused alone is dropped everywhere. Nothing is dropped for other reasons.
    mutating func withdraw(
        _ reason: String, _ cause: Role.Leader.Withdrawal, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        timers.cancel(.abandon)
        timers.cancel(.resend)
        guard isLeader, let block = current.proposedBlock else { return }
        actions.append(
            .warn("withdrawing the proposal", height: block.height, block: block.hash, reason: reason))
        if case .tooEarly(let isKnown) = cause {
            doubt = ClockDoubt(reason: reason, time: isKnown ? block.header.timestamp : nil)
        }
        current.clearProposal()
        let settings = settings
        leader?.withdraw(block, cause, settings, now)
        var dropped: [Hash] = []
        if cause == .refused, block.transactions.count == 1 {
            dropped = [block.transactions[0].id]
            actions.append(.dropTransactions(dropped))
        }
        actions.append(.broadcastReset(ConsensusReset(height: state.height, transactions: dropped)))
        guard let leader, leader.isAmnesiac else { return }
        switch cause {
        case .refused, .overBudget, .tooEarly: considerRecovery(now, refused: [block.hash])
        case .timedOut, .heldBack: considerRecovery(now)
        case .ownFailure:
            // A locked block is proposed again no sooner than another block would be.
            considerRecovery(now)
            self.leader?.recovery?.fetchAt = leader.nextBuild
        }
    }
}
