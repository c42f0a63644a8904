import Bytes
import Chain
import Crypto
import Execution

/// Voting on proposals, as validators and the leader do. A vote is on disk before its answer is signed.
extension ConsensusMachine {
    /// Returns whether this node may vote for a block: it never votes for two blocks of one height and stamp, nor for
    /// an older stamp after a newer one.
    func mayVote(for hash: Hash, stamp: Int64) -> Bool {
        guard let last = votes.last(at: state.height &+ 1) else { return true }
        return last.blockHash == hash || stamp > last.stamp
    }

    /// Returns whether this node has refused a block under this stamp or a newer one, even before a restart.
    func hasRefused(_ hash: Hash, stamp: Int64) -> Bool {
        guard let last = votes.last(at: state.height &+ 1, on: hash) else { return false }
        return last.decision == .nack && stamp <= last.stamp
    }

    /// Returns whether this node has agreed to a block, even before a restart.
    func hasAgreed(to hash: Hash) -> Bool {
        votes.last(at: state.height &+ 1, on: hash).map { $0.decision != .nack } ?? false
    }

    mutating func agree(
        _ block: CheckedBlock, _ result: ExecutionResult, _ actions: inout [ConsensusAction]
    ) {
        if let last = votes.last(at: block.height, on: block.hash),
            case .ack(let before) = last.decision, before != result.appHash
        {
            return halt(
                .applicationHashDiffers(height: block.height, own: result.appHash, committed: before),
                &actions)
        }
        votes.keep(block)
        cast(
            .ack(appHash: result.appHash), on: block.hash, stamp: current.stamp,
            saying: .ack(appHash: result.appHash), &actions)
    }

    /// Refuses the leader's proposal, and warns of the reason if it is new.
    mutating func refuse(
        _ hash: Hash, stamp: Int64, _ answer: AckRes.Answer, because reason: String? = nil,
        _ actions: inout [ConsensusAction]
    ) {
        if let reason {
            actions.append(
                .warn(
                    "refusing the leader's proposal", height: state.height &+ 1, block: hash, reason: reason))
        }
        if hasAgreed(to: hash) {
            // This node agreed to it before it was restarted, and cannot take that back.
            actions.append(
                .warn(
                    "a block cannot be refused any more", height: state.height &+ 1, block: hash,
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
        if let last = votes.last(at: vote.height, on: hash) { vote.stamp = max(stamp, last.stamp) }
        current.ballot = .recording(vote)
        votes.give(vote)
        // A lone validator keeps no block, because nobody would ask for it.
        let isKept = decision != .nack && state.validators.count > 1
        let block = isKept ? openBlock(height: vote.height, hash: hash) : nil
        actions.append(.vote(vote, answer, keeping: block))
    }

    mutating func voteRecorded(
        _ vote: Vote, _ message: AckRes, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard case .recording(let awaited) = current.ballot, awaited == vote else { return }
        current.ballot = .cast(vote, message)
        switch role {
        case .leader: leader?.tally.add(VerifiedAcknowledgement(own: message))
        case .validator(let validator):
            actions.append(.sendAcknowledgement(message))
            self.validator?.resending.begin()
            timers.arm(.resend, at: now + validator.resending.first)
        case .follower: break
        }
    }

    /// Tells a leader that it is behind: its proposal does not extend this node's chain, but is newer than the tip.
    /// Limits the rate of answers, however many peers relay the proposal.
    mutating func answerOutOfSync(
        _ proposal: BlockProposal, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard let tipCommit, state.validators.contains(key), proposal.stamp > Int64(clamping: state.timestamp)
        else {
            return
        }
        if let before = validator?.outOfSyncAt, now < before + settings.resendInterval { return }
        validator?.outOfSyncAt = now
        actions.append(
            .refuse(
                height: proposal.height, block: proposal.hash,
                .outOfSync(best: tipCommit.header, leaderSignature: tipCommit.announcement.leaderSignature)))
    }

    /// Sends an unanswered message again: the leader its proposal, a validator its vote.
    mutating func resend(_ now: Duration, _ actions: inout [ConsensusAction]) {
        if isCommitting { return }
        switch role {
        case .leader(let leader):
            guard let block = current.proposedBlock else { return }
            let silent = state.validators.keys.filter { $0 != key && !leader.tally.answered(by: $0) }
            if !silent.isEmpty {
                actions.append(.propose(block, stamp: current.stamp, to: silent))
                if leader.resending.count > 0 { actions.append(.askStatus(of: silent)) }
            }
            timers.arm(.resend, at: (self.leader?.resending.again()).map { now + $0 })
        case .validator(let validator):
            guard current.decision == nil, case .cast(_, let message) = current.ballot else { return }
            actions.append(.sendAcknowledgement(message))
            if validator.resending.count > 0 { askLeader(&actions) }
            timers.arm(.resend, at: (self.validator?.resending.again()).map { now + $0 })
        case .follower: break
        }
    }
}
