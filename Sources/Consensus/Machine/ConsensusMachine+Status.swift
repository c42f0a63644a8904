import Bytes
import Chain
import Crypto
import Multiformats

/// Reporting the consensus status, and responding to the statuses of others (docs/consensus.md, "When something is
/// missing").
extension ConsensusMachine {
    /// Returns this node's answer to a question about a height.
    public func status(of height: Int64) -> ConsensusStatus {
        let vote = votes.last.map {
            ConsensusStatus.Ballot(
                height: $0.height, stamp: $0.stamp, block: $0.blockHash, isAck: $0.decision != .nack,
                oldestHeight: votes.oldestHeight ?? $0.height)
        }
        let proposal = current.proposedBlock.map {
            BlockProposal($0.block, sender: key, stamp: current.stamp)
        }
        return ConsensusStatus(
            height: state.height, phase: phase, best: tipCommit?.header,
            leaderSignature: tipCommit?.announcement.leaderSignature ?? SharedBytes(), vote: vote,
            proposal: proposal, follows: proposer,
            commit: height == state.height ? tipCommit?.announcement : nil)
    }

    private var phase: ConsensusStatus.Phase {
        if recovery != nil { return .recovering }
        if current.decision != nil || isCommitting { return .committing }
        if current.proposedBlock != nil { return .proposed }
        return leader.map { !$0.withdrawn.isEmpty } ?? false ? .withdrawn : .idle
    }

    /// Returns a block above the tip that others may ask for, because it is proposed or this node voted for it.
    public func openBlock(height: Int64, hash: Hash) -> CheckedBlock? {
        [current.proposedBlock, votes.block, next.proposedBlock, lane.block].lazy.compactMap { $0 }
            .first { $0.hash == hash && $0.height == height }
    }

    mutating func statusReceived(
        _ status: VerifiedStatus, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) -> StatusAdmission {
        let height = status.status.height
        if height > state.height {
            if let commit = status.commit, commit.height == state.height &+ 1 {
                return announced(commit, from, now, &actions) == .fetch ? .commit(commit) : .nothing
            }
            ahead(height, status.provesHeight ? .proof : .word, from, now, &actions)
        } else if height < state.height, let tipCommit,
            state.validators.contains(where: { $0.key.peerID == from })
        {
            actions.append(.announce(tipCommit, to: from))
        }
        if isLeader {
            guard let teller = state.validators.first(where: { $0.key.peerID == from })?.key else {
                return .nothing
            }
            heldBack(status.status, teller, now, &actions)
            if recovery != nil { recover(status, teller, now, &actions) }
        } else if from == proposer?.peerID, height == state.height {
            return follow(status, from, now, &actions)
        }
        return .nothing
    }

    /// Handles the leader's answer to this validator's question.
    private mutating func follow(
        _ status: VerifiedStatus, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) -> StatusAdmission {
        guard let validator, current.decision == nil, !isCommitting else { return .nothing }
        if let proposal = status.proposal {
            guard proposal.proposal.height == state.height &+ 1 else { return .nothing }
            return proposed(proposal, from, now, &actions) == .fetch ? .proposal(proposal.proposal) : .nothing
        }
        // The leader has forgotten its proposal and will make a new one, unless it is recovering.
        if status.status.phase == .idle || status.status.phase == .withdrawn,
            let asked = validator.askedAbout,
            asked == current.proposedBlock?.hash, current.hasVoted
        {
            forgetProposal()
        }
        return .nothing
    }

    /// Handles the status of a validator that has voted for a newer block and so cannot vote for the leader's
    /// proposal.
    private mutating func heldBack(
        _ status: ConsensusStatus, _ teller: PublicKey, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard let vote = status.vote, vote.height == state.height &+ 1 else { return }
        stamps.told(vote.stamp)
        guard let block = current.proposedBlock, vote.block != block.hash, vote.stamp >= current.stamp,
            current.decision == nil, !isCommitting, leader?.tally.answered(by: teller) == false,
            let lost = leader?.tally.holdBack(teller)
        else { return }
        guard state.validators.count - lost < state.validators.quorum else { return }
        withdraw("\(lost) validators have voted for a newer block", .heldBack, now, &actions)
    }

    // MARK: Commit done

    /// Returns whether the signature on a validator's "commit done" is worth checking.
    public func wantsToCheck(_ message: CommitDone) -> Bool {
        let voter = message.signature.publicKey
        guard halted == nil, let leader, state.validators.contains(voter) else { return false }
        return message.height > state.height
            || (message.height == state.height && !leader.confirmed.contains(voter))
    }

    mutating func commitDone(
        _ message: CommitDone, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        let voter = message.signature.publicKey
        guard isLeader, state.validators.contains(voter) else { return }
        if message.height > state.height { return ahead(message.height, .word, from, now, &actions) }
        guard message.height == state.height else { return }
        guard message.block == state.hash, message.appHash == state.appHash else {
            return actions.append(
                .warn(
                    "a validator has committed another block or another result", height: state.height,
                    block: message.block,
                    reason: "it is \(voter.nodeID); this node has committed \(state.hash)"))
        }
        leader?.confirmed.insert(voter)
    }

    /// Confirms the newest block when the leader announces it again, which means that it lacks this node's
    /// confirmation.
    mutating func announcedAgain(_ from: PeerID, _ actions: inout [ConsensusAction]) {
        guard isValidator, from == proposer?.peerID, let tipCommit else { return }
        actions.append(.confirmCommit(tipCommit))
    }

    /// Announces the leader's newest block again to the validators that have not confirmed it.
    mutating func announceAgain(_ now: Duration, _ actions: inout [ConsensusAction]) {
        guard let leader, let tipCommit, !isBehind else { return }
        actions.append(
            .announceAgain(tipCommit, except: state.validators.keys.filter(leader.confirmed.contains)))
        timers.arm(.confirm, at: (self.leader?.confirming.again()).map { now + $0 })
    }
}
