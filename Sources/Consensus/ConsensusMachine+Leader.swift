import Chain
import Crypto
import Execution
import Multiformats

/// The leader: builds blocks, counts answers, commits at more than half, withdraws what cannot pass.
extension ConsensusMachine {
    /// Whether nothing but the clock keeps the leader from building.
    private var isReadyToBuild: Bool {
        guard isLeader, case .nothing = building, recovery == nil, !isBehind, current.decision == nil,
            current.proposedBlock == nil,
            case .idle = lane
        else { return false }
        return true
    }

    /// When the leader will build next, if nothing happens before.
    var buildDeadline: Duration? {
        guard isReadyToBuild else { return nil }
        if mempoolCount > 0 || candidate == key { return nextBuild }
        guard settings.emptyBlockInterval > .zero else { return nil }
        return max(nextBuild, lastBlock + settings.emptyBlockInterval)
    }

    mutating func buildIfDue(_ now: Duration, _ actions: inout [ConsensusAction]) {
        guard let due = buildDeadline, now >= due else { return }
        building = .block(after: stamps.last)
        nextBuild = now + settings.minimumBlockInterval
        // A promoted leader takes office with its first block, be it empty.
        let isDue = settings.emptyBlockInterval > .zero && now >= lastBlock + settings.emptyBlockInterval
        actions.append(
            .build(
                BlockTemplate(
                    state: state, after: stamps.last, transactionLimit: transactionLimit,
                    newLeader: candidate, mayBeEmpty: isDue || candidate == key)))
    }

    mutating func built(_ block: CheckedBlock?, _ now: Duration, _ actions: inout [ConsensusAction]) {
        guard case .block(let after) = building else { return }
        building = .nothing
        guard let block else {
            // What waits cannot go into a block yet; the next change of the mempool asks again.
            mempoolCount = 0
            return
        }
        guard isReadyToBuild, block.header.previousHash == state.hash, block.height == state.height &+ 1
        else { return }
        guard stamps.last == after else {
            // A newer stamp was told meanwhile: the next block has a newer time, too.
            nextBuild = now
            return
        }
        do {
            // What this node's own clock speaks against, nobody's must accept.
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
            building = .stamp(block, isAgain: isAgain)
            return actions.append(.reserveStamps(upTo: end))
        }
        propose(block, stamp: stamp, now, &actions)
        current.mayBeCommitted = isAgain
    }

    mutating func stampsReserved(_ stamp: Int64, _ now: Duration, _ actions: inout [ConsensusAction]) {
        stamps.reserve(upTo: stamp)
        guard case .stamp(let block, let isAgain) = building else { return }
        building = .nothing
        guard block.header.previousHash == state.hash, isAgain ? mayProposeAgain : isReadyToBuild else {
            // What may be committed is not forgotten: it is asked for anew before anything else is proposed.
            if isAgain, isLeader, current.proposedBlock == nil { considerRecovery(now) }
            return
        }
        prepareProposal(block, isAgain: isAgain, now, &actions)
    }

    /// Whether a block that was acknowledged before may be proposed. It waits neither for the lane nor for what is claimed
    /// above the tip.
    var mayProposeAgain: Bool {
        isLeader && current.decision == nil && current.proposedBlock == nil && !isCommitting
    }

    /// Offers a block to the validators, under the stamp by which they tell newer proposals from older ones.
    mutating func propose(
        _ block: CheckedBlock, stamp: Int64, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        stamps.use(stamp)
        current.clearProposal()
        current.proposedBlock = block
        current.stamp = stamp
        resends = 0
        resendWait = settings.resendInterval
        resendAt = now + resendWait
        abandonAt = now + settings.proposalTimeout * (1 << min(withdrawals, 6))
        actions.append(.propose(block, stamp: stamp, to: nil))
    }

    mutating func acknowledged(
        _ answer: VerifiedAcknowledgement, _ from: PeerID, _ now: Duration,
        _ actions: inout [ConsensusAction]
    ) {
        guard isLeader, state.validators.contains(answer.voter) else { return }
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
            // Not just late but asking again: it missed the announcement. Here is the newest.
            if let tipCommit, now >= lastBlock + settings.resendInterval / 2 {
                actions.append(.announce(tipCommit, to: answer.voter.peerID))
            }
            return
        }
        guard message.height == state.height &+ 1 else { return }
        guard message.block == current.proposedBlock?.hash else {
            return answerStray(message.block, answer.voter, now, &actions)
        }
        if !current.answered(by: answer.voter) { return current.answers.append(answer) }
        if !current.answers.contains(where: { $0.says(the: message) }) { answeredTwice(answer, &actions) }
    }

    /// A validator answers for another block than the one proposed now: it missed the withdrawal, or knows of a
    /// proposal that this node has forgotten.
    private mutating func answerStray(
        _ block: Hash, _ voter: PublicKey, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard now >= nextInquiry else { return }
        nextInquiry = now + settings.resendInterval / 4
        if withdrawn.contains(block), current.proposedBlock == nil {
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
        let count = current.count(appHash: result.appHash)
        if count.agreed >= state.validators.quorum {
            let info = CommitInfo(
                appHash: result.appHash, votes: votes(appHash: result.appHash),
                parameterUpdates: result.parameterUpdates(of: block),
                validatorUpdates: result.validatorUpdates)
            let decision = VerifiedCommit(
                trusting: BlockAnnouncement(block.block, info))
            return commit(block, result, decision, &actions)
        }
        let unanswered = state.validators.count - current.answers.count
        guard count.agreed + unanswered < state.validators.quorum else { return }
        if let other = largestFork(than: result.appHash) {
            if other.votes >= state.validators.quorum {
                return halt(
                    .applicationHashDiffers(
                        height: block.height, own: result.appHash, committed: other.appHash),
                    &actions)
            }
            // Whether this node or they went astray is for the rest to say.
            if other.votes + unanswered >= state.validators.quorum { return }
        }
        let (reason, cause) = refusal(of: block, count.rejected, count.forked)
        withdraw(reason, cause, now, &actions)
    }

    /// Why validators do not agree. Those that find a block's time too early say `unknown`, which is nothing against its
    /// transactions.
    private func refusal(of block: CheckedBlock, _ rejected: Int, _ forked: Int) -> (String, Withdrawal) {
        let unexplained = current.answers.count { $0.message.answer == .unknown }
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

    /// The application hash other than the leader's that most validators computed.
    private func largestFork(than own: Hash) -> (appHash: Hash, votes: Int)? {
        var largest: (appHash: Hash, votes: Int)?
        for answer in current.answers {
            guard let appHash = answer.message.appHash, appHash != own else { continue }
            let votes = current.count(appHash: appHash).agreed
            if votes > largest?.votes ?? 0 { largest = (appHash, votes) }
        }
        return largest
    }

    private func votes(appHash: Hash) -> [VoteInfo] {
        current.answers.map { answer in
            let message = answer.message
            let status: VoteInfo.Status
            switch message.appHash {
            case appHash: status = .agreed
            case .some(let other): status = .forked(other)
            case nil: status = .rejected
            }
            return VoteInfo(signature: message.signature, status: status)
        }
    }

    /// Why the leader takes its own proposal back.
    enum Withdrawal: Hashable, Sendable {
        /// Too few answered in time; executing it may take too long.
        case timedOut
        /// Too many have voted for a newer one.
        case heldBack
        /// Too many validators refuse it.
        case refused
        /// Its time is ahead of most validators' clocks, or of this node's own (`isKnown`).
        case tooEarly(isKnown: Bool)
        /// It costs more than a block may, on every node; so many of its first transactions do not.
        case overBudget(fitting: Int)
        /// The leader's own machine cannot execute it now, which says nothing about the block.
        case ownFailure
    }

    /// Takes back the leader's own proposal: everybody forgets it and stops executing it, and a new one comes after a
    /// growing wait.
    ///
    /// A refused block may hold a transaction that fails wherever it is executed: the next has half as many, until a
    /// block of a single one is refused. That one is dropped everywhere. Nothing is dropped for other reasons.
    mutating func withdraw(
        _ reason: String, _ cause: Withdrawal, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        abandonAt = nil
        resendAt = nil
        guard isLeader, let block = current.proposedBlock else { return }
        actions.append(
            .warn("withdrawing the proposal", height: block.height, block: block.hash, reason: reason))
        noteWithdrawn(block.hash)
        if case .tooEarly(let isKnown) = cause {
            doubt = ClockDoubt(reason: reason, time: isKnown ? block.header.timestamp : nil)
        }
        current.clearProposal()
        limitNextBlock(after: block, cause)
        nextBuild = now + waitAfterWithdrawal(of: block, cause)
        var dropped: [Hash] = []
        if cause == .refused, block.transactions.count == 1 {
            dropped = [block.transactions[0].id]
            actions.append(.dropTransactions(dropped))
        }
        actions.append(.broadcastReset(ConsensusReset(height: state.height, transactions: dropped)))
        guard isAmnesiac else { return }
        switch cause {
        case .refused, .overBudget, .tooEarly: considerRecovery(now, refused: [block.hash])
        case .timedOut, .heldBack: considerRecovery(now)
        case .ownFailure:
            // What may be locked is proposed again no sooner than another block would be.
            considerRecovery(now)
            recovery?.fetchAt = nextBuild
        }
    }

    private mutating func limitNextBlock(after block: CheckedBlock, _ cause: Withdrawal) {
        let count = block.transactions.count
        guard count > 1 else { return }
        switch cause {
        case .overBudget(let fitting): transactionLimit = min(max(fitting, 1), count - 1)
        case .timedOut, .refused, .ownFailure: transactionLimit = count / 2
        case .heldBack, .tooEarly: break
        }
    }

    mutating func noteWithdrawn(_ block: Hash) {
        guard !withdrawn.contains(block) else { return }
        withdrawn.append(block)
        if withdrawn.count > Self.rememberedWithdrawals { withdrawn.removeFirst() }
    }

    private mutating func waitAfterWithdrawal(of block: CheckedBlock, _ cause: Withdrawal) -> Duration {
        // The next block is known to fit, or to have the right time.
        switch cause {
        case .overBudget, .tooEarly(isKnown: true): return settings.minimumBlockInterval
        default: break
        }
        withdrawals = min(withdrawals + 1, 16)
        // Halving a full block down to one takes some fifteen rounds.
        if cause == .refused, block.transactions.count > 1 { return settings.resendInterval }
        return min(settings.resendInterval * (1 << min(withdrawals, 6)), settings.maximumResendInterval)
    }

    /// Withdrawn blocks whose late answers are still known, more than a height sees in an hour.
    private static var rememberedWithdrawals: Int { 64 }
}
