import Chain
import Crypto
import Multiformats

/// Following the leader: proposals (validators only), announcements and catching up (everybody).
extension ConsensusMachine {
    /// Whether checking a proposal's signature pays.
    public func wantsToCheck(_ proposal: BlockProposal, now: Duration) -> Bool {
        guard halted == nil, role == .validator else { return false }
        if proposal.height <= state.height {
            return proposal.hash != state.hash && proposal.stamp > Int64(clamping: state.timestamp)
        }
        for round in [current, next] {
            if round.proposal?.hash == proposal.hash { return round.hasVoted }
            if let offer = round.offer, offer.proposal.hash == proposal.hash { return now >= offer.until }
        }
        return true
    }

    /// Whether checking an acknowledgement's signature pays.
    public func wantsToCheck(_ answer: AckRes, now: Duration) -> Bool {
        guard halted == nil, isLeader, state.validators.contains(answer.signature.publicKey) else {
            return false
        }
        if case .outOfSync(let best, _) = answer.answer { return best.height >= state.height }
        guard answer.height > state.height else { return now >= lastBlock + settings.resendInterval / 2 }
        return answer.height == state.height &+ 1 && answer.block == current.proposedBlock?.hash
            && !current.answered(by: answer.signature.publicKey)
    }

    /// Whether checking an announcement of this height and hash pays.
    public func wantsToCheck(announcementOf hash: Hash, height: Int64) -> Bool {
        guard halted == nil else { return false }
        if height == state.height { return hash != state.hash }
        if height == state.height &+ 1 { return current.decision == nil }
        return height > state.height
    }

    /// Whether the votes of an announcement can be checked against the validators that this node knows now.
    public func canProve(_ header: BlockHeader) -> Bool {
        header.height >= state.height && header.height <= state.height &+ 2 && state.isBasis(of: header)
    }

    mutating func proposed(
        _ verified: VerifiedProposal, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        let proposal = verified.proposal
        guard role == .validator, signers(ofProposalsFrom: from).contains(verified.leader) else { return }
        if proposal.height <= state.height {
            if proposal.hash != state.hash { answerOutOfSync(proposal, now, &actions) }
        } else if proposal.height == state.height &+ 1 {
            proposedNow(verified, from, now, &actions)
        } else if proposal.height == state.height &+ 2, proposal.previousHash == current.likelyHash {
            if let known = next.proposal, known.stamp >= proposal.stamp { return }
            offer(verified, from, now, to: &next, &actions)
        } else {
            ahead(proposal.height &- 1, true, from, &actions)
        }
    }

    private mutating func proposedNow(
        _ verified: VerifiedProposal, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        let proposal = verified.proposal
        guard current.decision == nil else { return }
        guard proposal.previousHash == state.hash else { return answerOutOfSync(proposal, now, &actions) }
        if case .committing = lane { return }
        if let known = current.proposal {
            if known.hash == proposal.hash {
                // The leader asks again: it did not get the answer.
                if case .cast(let vote, let message) = current.ballot, vote.blockHash == proposal.hash {
                    actions.append(.sendAcknowledgement(message))
                }
                return
            }
            guard proposal.stamp > known.stamp else { return }
        }
        guard mayVote(for: proposal.hash, stamp: proposal.stamp) else { return }
        offer(verified, from, now, to: &current, &actions)
    }

    /// Fetches a proposal's block, unless that or a newer one is being fetched.
    private func offer(
        _ verified: VerifiedProposal, _ from: PeerID, _ now: Duration, to round: inout ConsensusRound,
        _ actions: inout [ConsensusAction]
    ) {
        if let offer = round.offer, now < offer.until, offer.proposal.stamp >= verified.proposal.stamp {
            return
        }
        round.offer = .init(
            proposal: verified.proposal, leader: verified.leader, from: from,
            until: now + settings.fetchPatience)
        actions.append(.fetchProposal(verified, from: from))
    }

    mutating func proposalFetched(
        _ block: CheckedBlock, _ from: PeerID, _ wallClock: UInt64, _ actions: inout [ConsensusAction]
    ) {
        if current.offer?.proposal.hash == block.hash {
            accept(block, from, wallClock, in: &current, &actions)
        } else if next.offer?.proposal.hash == block.hash {
            accept(block, from, wallClock, in: &next, &actions)
        }
    }

    private func accept(
        _ block: CheckedBlock, _ from: PeerID, _ wallClock: UInt64, in round: inout ConsensusRound,
        _ actions: inout [ConsensusAction]
    ) {
        guard let offer = round.offer else { return }
        let proposal = offer.proposal
        round.offer = nil
        guard proposal.height == block.height, proposal.previousHash == block.header.previousHash,
            proposal.stamp == block.stamp, proposal.leaderSignature == block.block.signature
        else {
            actions.append(
                .misbehaved(
                    from, .mismatch("proposal \(block.hash) announced with other fields than its block's")))
            return
        }
        round.clearProposal()
        round.proposal = proposal
        round.signer = offer.leader
        round.proposedBlock = block
        round.arrived = wallClock
        actions.append(.relayProposal(block, except: from))
    }

    mutating func proposalFetchFailed(_ hash: Hash, _ from: PeerID) {
        if let offer = current.offer, offer.proposal.hash == hash, offer.from == from { current.offer = nil }
        if let offer = next.offer, offer.proposal.hash == hash, offer.from == from { next.offer = nil }
    }

    mutating func proposalInvalid(_ hash: Hash, _ actions: inout [ConsensusAction]) {
        guard let proposal = current.offer?.proposal, proposal.hash == hash else { return }
        current.offer = nil
        current.clearProposal()
        current.proposal = proposal
        actions.append(.warn("the leader's proposal \(hash) is invalid"))
        refuse(hash, stamp: proposal.stamp, .invalidBlock, &actions)
    }

    mutating func announced(
        _ commit: VerifiedCommit, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        if commit.height == state.height, commit.hash != state.hash {
            return halt(.forked(height: commit.height, own: state.hash, committed: commit.hash), &actions)
        }
        guard commit.height > state.height else { return }
        if commit.height == state.height &+ 1 {
            if case .committing = lane { return }
            guard current.decidedBlock == nil else { return }
            if let fetch = current.decisionFetch, now < fetch.until { return }
            current.decision = commit
            if let block = heldBlock(commit.hash) {
                current.decidedBlock = block
                return
            }
            current.decisionFetch = .init(hash: commit.hash, from: from, until: now + settings.fetchPatience)
            actions.append(.fetchDecided(commit, from: from))
        } else if commit.height == state.height &+ 2, commit.header.previousHash == current.likelyHash,
            syncTarget == nil
        {
            guard next.decidedBlock == nil else { return }
            if let fetch = next.decisionFetch, now < fetch.until { return }
            next.decision = commit
            if let block = next.proposedBlock, block.hash == commit.hash {
                next.decidedBlock = block
            } else {
                next.decisionFetch = .init(hash: commit.hash, from: from, until: now + settings.fetchPatience)
                actions.append(.fetchDecided(commit, from: from))
            }
            // The block before it is committed, but its own proof has not come: ask for it.
            if current.decision == nil, !isCommitting { ahead(commit.height &- 1, true, from, &actions) }
        } else {
            ahead(commit.height, true, from, &actions)
        }
    }

    private var isCommitting: Bool {
        if case .committing = lane { true } else { false }
    }

    /// A block of the present height that was fetched as a proposal or is in the lane.
    private func heldBlock(_ hash: Hash) -> CheckedBlock? {
        if let block = current.proposedBlock, block.hash == hash { return block }
        switch lane {
        case .executing(let block), .prepared(let block, _): return block.hash == hash ? block : nil
        case .idle, .rollingBack, .committing: return nil
        }
    }

    mutating func decided(
        _ commit: VerifiedCommit, _ block: CheckedBlock, _ actions: inout [ConsensusAction]
    ) {
        guard commit.hash == block.hash else { return }
        if commit.height == state.height &+ 1 {
            if case .committing = lane { return }
            current.decision = commit
            current.decidedBlock = block
            current.decisionFetch = nil
        } else if commit.height == state.height &+ 2 {
            next.decision = commit
            next.decidedBlock = block
            next.decisionFetch = nil
        }
    }

    mutating func decidedFetchFailed(_ hash: Hash, _ from: PeerID, _ actions: inout [ConsensusAction]) {
        if let fetch = current.decisionFetch, fetch.hash == hash, fetch.from == from {
            current.decisionFetch = nil
            if current.decidedBlock == nil { ahead(state.height &+ 1, true, from, &actions) }
        }
        if let fetch = next.decisionFetch, fetch.hash == hash, fetch.from == from, next.decidedBlock == nil {
            next = ConsensusRound()
        }
    }

    /// Starts catching up, or raises its target. A leader believes only what it signed itself.
    mutating func ahead(_ height: Int64, _ proven: Bool, _ from: PeerID, _ actions: inout [ConsensusAction]) {
        guard height > state.height, proven || !isLeader else { return }
        if let target = syncTarget, target >= height { return }
        if height == state.height &+ 1, current.decidedBlock != nil || isCommitting { return }
        syncTarget = height
        actions.append(.catchUp(to: height, from: from))
    }

    mutating func resetReceived(_ reset: ConsensusReset, _ actions: inout [ConsensusAction]) {
        guard !isLeader else { return }
        if !reset.transactions.isEmpty { actions.append(.dropTransactions(reset.transactions)) }
        // What is committed stays: a reset below the tip, or of a decided height, changes nothing here.
        guard reset.height == state.height, current.decision == nil, !isCommitting else { return }
        current.clearProposal()
        current.offer = nil
        resendAt = nil
    }

    /// A new connection: tell it where the chain is, and a validator what is being decided.
    mutating func peerReady(_ peer: PeerID, _ actions: inout [ConsensusAction]) {
        if let tipCommit { actions.append(.announce(tipCommit, to: peer)) }
        guard isLeader, let block = current.proposedBlock,
            let validator = state.validators.first(where: { $0.key.peerID == peer })?.key,
            !current.answered(by: validator)
        else { return }
        actions.append(.propose(block, to: [validator]))
    }
}
