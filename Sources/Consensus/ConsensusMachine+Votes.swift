import Bytes
import Chain
import Crypto
import Execution
import Storage

/// Voting: what a validator, the leader among them, says about a proposal. A vote is on disk before it is signed.
extension ConsensusMachine {
    /// A node never votes for two blocks of one height and stamp, nor for an older stamp after a newer one.
    func mayVote(for hash: Hash, stamp: Int64) -> Bool {
        guard let last = lastVote, last.height == state.height &+ 1 else { return true }
        return last.blockHash == hash || stamp > last.stamp
    }

    /// Whether this node has refused a block under this stamp or a newer one, also before a restart: it stays so.
    func hasRefused(_ hash: Hash, stamp: Int64) -> Bool {
        guard let last = lastVote, last.height == state.height &+ 1, last.blockHash == hash else {
            return false
        }
        return last.decision == .nack && stamp <= last.stamp
    }

    /// Whether this node has agreed to a block, also before a restart.
    func hasAgreed(to hash: Hash) -> Bool {
        guard let last = lastVote, last.height == state.height &+ 1, last.blockHash == hash else {
            return false
        }
        return last.decision != .nack
    }

    mutating func agree(
        _ block: CheckedBlock, _ result: ExecutionResult, _ actions: inout [ConsensusAction]
    ) {
        if let last = lastVote, last.height == block.height, last.blockHash == block.hash,
            case .ack(let before) = last.decision, before != result.appHash
        {
            return halt(
                .applicationHashDiffers(height: block.height, own: result.appHash, committed: before),
                &actions)
        }
        votedBlock = block
        cast(
            .ack(appHash: result.appHash), on: block.hash, stamp: current.stamp,
            saying: .ack(appHash: result.appHash), &actions)
    }

    mutating func refuse(
        _ hash: Hash, stamp: Int64, _ answer: AckRes.Answer, _ actions: inout [ConsensusAction]
    ) {
        if let last = lastVote, last.height == state.height &+ 1, last.blockHash == hash,
            last.decision != .nack
        {
            // Agreed to before a restart: that stands, and cannot be taken back.
            actions.append(
                .warn(
                    "a block cannot be refused any more", height: last.height, block: hash,
                    reason: "this node agreed to it before it was restarted"))
            return
        }
        cast(.nack, on: hash, stamp: stamp, saying: answer, &actions)
    }

    mutating func cast(
        _ decision: Vote.Decision, on hash: Hash, stamp: Int64, saying answer: AckRes.Answer,
        _ actions: inout [ConsensusAction]
    ) {
        guard state.validators.contains(key) else { return }
        var vote = Vote(height: state.height &+ 1, stamp: stamp, blockHash: hash, decision: decision)
        if let last = lastVote, last.height == vote.height, last.blockHash == hash {
            vote.stamp = max(stamp, last.stamp)
        }
        current.ballot = .recording(vote)
        lastVote = vote
        if !ownVotes.contains(vote) { ownVotes.append(vote) }
        oldestVote = min(oldestVote ?? vote.height, vote.height)
        actions.append(.vote(vote, answer))
    }

    mutating func voteRecorded(
        _ vote: Vote, _ message: AckRes, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard case .recording(let awaited) = current.ballot, awaited == vote else { return }
        current.ballot = .cast(vote, message)
        if isLeader {
            if !current.answered(by: key) {
                current.answers.append(VerifiedAcknowledgement(own: message))
            }
        } else {
            actions.append(.sendAcknowledgement(message))
            resends = 0
            resendWait = settings.resendInterval
            resendAt = now + resendWait
        }
    }

    /// Answers a proposal beside this node's chain, newer than its tip: the leader is behind. Says so once in a
    /// while, however many relay the proposal.
    mutating func answerOutOfSync(
        _ proposal: BlockProposal, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard let tipCommit, state.validators.contains(key), proposal.stamp > Int64(clamping: state.timestamp)
        else {
            return
        }
        if let before = outOfSyncAt, now < before + settings.resendInterval { return }
        outOfSyncAt = now
        actions.append(
            .refuse(
                height: proposal.height, block: proposal.hash,
                .outOfSync(best: tipCommit.header, leaderSignature: tipCommit.announcement.leaderSignature)))
    }

    /// Sends again what waits for an answer, and withdraws what waited too long.
    mutating func runTimers(_ now: Duration, _ actions: inout [ConsensusAction]) {
        guard halted == nil else { return }
        withdrawIfTooEarly(now, &actions)
        runFetches(now, &actions)
        if let at = abandonAt, now >= at {
            if case .committing = lane {
                abandonAt = nil
            } else {
                withdraw("too few validators answered", .timedOut, now, &actions)
            }
        }
        if let fetch = current.decisionFetch, now >= fetch.until {
            decidedFetchFailed(fetch.hash, fetch.from, now, &actions)
        }
        runConfirmation(now, &actions)
        if !isBehind { runRecovery(now, &actions) }
        guard let at = resendAt, now >= at else { return }
        resendAt = nil
        if case .committing = lane { return }
        if isLeader {
            guard let block = current.proposedBlock else { return }
            let silent = state.validators.keys.filter { $0 != key && !current.answered(by: $0) }
            if !silent.isEmpty {
                actions.append(.propose(block, stamp: current.stamp, to: silent))
                if resends > 0 { actions.append(.askStatus(of: silent)) }
            }
        } else {
            guard current.decision == nil, case .cast(_, let message) = current.ballot else { return }
            actions.append(.sendAcknowledgement(message))
            if resends > 0 { askLeader(&actions) }
        }
        resends += 1
        resendWait = min(resendWait * 2, settings.maximumResendInterval)
        resendAt = now + resendWait
    }

    /// When `timer` is due, in the clock of `handle`; nil for never.
    public var deadline: Duration? {
        guard halted == nil else { return nil }
        var earliest: Duration?
        func consider(_ at: Duration?) {
            if let at { earliest = earliest.map { min($0, at) } ?? at }
        }
        consider(resendAt)
        consider(abandonAt)
        for offer in current.offers + next.offers { consider(offer.deadline) }
        consider(current.decisionFetch?.until)
        consider(buildDeadline)
        consider(confirmAt)
        if case .idle = lane, current.decidedBlock ?? current.proposedBlock != nil,
            current.decision != nil || current.refused != current.proposedBlock?.hash
        {
            consider(current.retryAt)
        }
        if isSyncing { consider(levelAt) }
        if doubt?.time != nil { consider(doubtAt) }
        if let recovery, !isBehind {
            consider(recovery.askAt)
            if recovery.fetching == nil { consider(recovery.until) }
        }
        return earliest
    }
}
