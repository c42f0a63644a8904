import Chain
import Crypto
import Execution
import Multiformats

/// The leader: builds blocks, counts answers, commits at more than half, withdraws what cannot pass.
extension ConsensusMachine {
    /// Whether nothing but the clock keeps the leader from building.
    private var isReadyToBuild: Bool {
        guard isLeader, !isBuilding, syncTarget == nil, current.decision == nil, current.proposedBlock == nil,
            case .idle = lane
        else { return false }
        return true
    }

    /// When the leader will build next, if nothing happens before.
    var buildDeadline: Duration? {
        guard isReadyToBuild else { return nil }
        if mempoolCount > 0 { return nextBuild }
        guard settings.emptyBlockInterval > .zero else { return nil }
        return max(nextBuild, lastBlock + settings.emptyBlockInterval)
    }

    mutating func buildIfDue(_ now: Duration, _ actions: inout [ConsensusAction]) {
        guard let due = buildDeadline, now >= due else { return }
        isBuilding = true
        nextBuild = now + settings.minimumBlockInterval
        let emptyDue = settings.emptyBlockInterval > .zero && now >= lastBlock + settings.emptyBlockInterval
        actions.append(
            .build(BlockTemplate(state: state, after: max(state.timestamp, lastStamp), mayBeEmpty: emptyDue)))
    }

    mutating func built(_ block: CheckedBlock?, _ now: Duration, _ actions: inout [ConsensusAction]) {
        isBuilding = false
        guard let block else {
            // What waits cannot go into a block yet; the next change of the mempool asks again.
            mempoolCount = 0
            return
        }
        lastStamp = max(lastStamp, block.header.timestamp)
        guard isReadyToBuild, block.header.previousHash == state.hash, block.height == state.height &+ 1
        else { return }
        current.proposedBlock = block
        current.answers = []
        current.ballot = .none
        resendWait = settings.resendInterval
        resendAt = now + resendWait
        abandonAt = now + settings.proposalTimeout * (1 << min(withdrawals, 6))
        actions.append(.propose(block, to: nil))
    }

    mutating func acknowledged(
        _ answer: VerifiedAcknowledgement, _ from: PeerID, _ now: Duration,
        _ actions: inout [ConsensusAction]
    ) {
        guard isLeader, state.validators.contains(answer.voter) else { return }
        let message = answer.message
        if let proof = answer.proof {
            if proof.height > state.height {
                ahead(proof.height, true, from, &actions)
            } else if proof.height == state.height, proof.hash != state.hash {
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
        guard message.height == state.height &+ 1, message.block == current.proposedBlock?.hash,
            !current.answered(by: answer.voter)
        else { return }
        current.answers.append(answer)
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
        withdraw(
            "\(count.rejected) validators refuse it, \(count.forked) computed another hash", now, &actions)
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

    /// Takes back the leader's own proposal: everybody forgets it, and a new one comes after a growing wait.
    mutating func withdraw(_ reason: String, _ now: Duration, _ actions: inout [ConsensusAction]) {
        abandonAt = nil
        resendAt = nil
        guard isLeader, let block = current.proposedBlock else { return }
        actions.append(.warn("withdrawing proposal \(block.hash) of height \(block.height): \(reason)"))
        withdrawals = min(withdrawals + 1, 16)
        current.proposedBlock = nil
        current.answers = []
        current.ballot = .none
        nextBuild =
            now + min(settings.resendInterval * (1 << min(withdrawals, 6)), settings.maximumResendInterval)
        actions.append(.broadcastReset(ConsensusReset(height: state.height, transactions: [])))
    }
}
