import Chain
import Crypto
import Multiformats

/// Following the leader: what is worth checking, announcements and catching up.
extension ConsensusMachine {
    /// Whether checking the signature of a proposal that `peer` brings pays.
    public func wantsToCheck(_ proposal: BlockProposal, from peer: PeerID, now: Duration) -> Bool {
        guard halted == nil, role == .validator else { return false }
        if proposal.height <= state.height {
            return proposal.hash != state.hash && proposal.stamp > Int64(clamping: state.timestamp)
        }
        for round in [current, next] {
            if let known = round.proposal, known.hash == proposal.hash {
                return proposal.stamp > known.stamp || (round.hasVoted && awaitsAnswer(peer, round))
            }
        }
        let offers: [ProposalOffer]
        switch proposal.height {
        case state.height &+ 1: offers = current.offers
        case state.height &+ 2: offers = next.offers
        default: return true
        }
        return !offers.holdBack(proposal, from: peer, standing(of: peer), now: now)
    }

    /// Whether checking an acknowledgement's signature pays.
    public func wantsToCheck(_ answer: AckRes, now: Duration) -> Bool {
        guard halted == nil, isLeader, state.validators.contains(answer.signature.publicKey) else {
            return false
        }
        if answer.signature.publicKey == key { return mayBeForeign(answer) }
        if case .outOfSync(let best, _) = answer.answer { return best.height >= state.height }
        guard answer.height > state.height else { return now >= lastBlock + settings.resendInterval / 2 }
        guard answer.height == state.height &+ 1 else { return false }
        guard answer.block == current.proposedBlock?.hash else { return now >= nextInquiry }
        // An answer that contradicts one before is worth a warning, once.
        let voter = answer.signature.publicKey
        return !current.answered(by: voter)
            || (!doubted.contains(voter) && !current.answers.contains { $0.says(the: answer) })
    }

    /// Whether checking an announcement of this height and hash pays.
    public func wantsToCheck(announcementOf hash: Hash, height: Int64) -> Bool {
        guard halted == nil else { return false }
        if height == state.height { return hash != state.hash }
        if height == state.height &+ 1 { return current.decision == nil }
        if height == state.height &+ 2, next.decision?.hash == hash { return false }
        return height > state.height
    }

    /// Whether the votes of an announcement can be checked against the validators that this node knows now.
    public func canProve(_ header: BlockHeader) -> Bool {
        header.height >= state.height && header.height <= state.height &+ 2 && state.isBasis(of: header)
    }

    mutating func announced(
        _ commit: VerifiedCommit, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        if commit.height == state.height, commit.hash != state.hash {
            return halt(.forked(height: commit.height, own: state.hash, committed: commit.hash), &actions)
        }
        guard commit.height > state.height else { return }
        prove(commit.height, now)
        if commit.height == state.height &+ 1 {
            if case .committing = lane { return }
            guard current.decidedBlock == nil else { return }
            if let fetch = current.decisionFetch, now < fetch.until { return }
            current.decision = commit
            current.retryAt = nil
            if let block = heldBlock(commit.hash) {
                current.decidedBlock = block
                return
            }
            current.decisionFetch = .init(hash: commit.hash, from: from, until: now + settings.fetchPatience)
            actions.append(.fetchDecided(commit, from: from))
        } else if commit.height == state.height &+ 2, current.isLikely(commit.header.previousHash),
            !isSyncing
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
            if current.decision == nil, !isCommitting {
                ahead(commit.height &- 1, .proof, from, now, &actions)
            }
        } else {
            ahead(commit.height, .proof, from, now, &actions)
        }
    }

    var isCommitting: Bool {
        if case .committing = lane { true } else { false }
    }

    /// A block of the present height that was fetched as a proposal or is in the lane.
    private func heldBlock(_ hash: Hash) -> CheckedBlock? {
        if let block = current.proposedBlock, block.hash == hash { return block }
        switch lane {
        case .executing(let block), .stopping(let block), .prepared(let block, _):
            return block.hash == hash ? block : nil
        case .idle, .rollingBack, .committing: return nil
        }
    }

    mutating func decided(_ commit: VerifiedCommit, _ block: CheckedBlock, _ now: Duration) {
        guard commit.hash == block.hash else { return }
        prove(commit.height, now)
        if commit.height == state.height &+ 1 {
            if case .committing = lane { return }
            if current.decidedBlock?.hash != block.hash { current.retryAt = nil }
            current.decision = commit
            current.decidedBlock = block
            current.decisionFetch = nil
        } else if commit.height == state.height &+ 2 {
            next.decision = commit
            next.decidedBlock = block
            next.decisionFetch = nil
        }
    }

    mutating func decidedFetchFailed(
        _ hash: Hash, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        if let fetch = current.decisionFetch, fetch.hash == hash, fetch.from == from {
            current.decisionFetch = nil
            if current.decidedBlock == nil { ahead(state.height &+ 1, .proof, from, now, &actions) }
        }
        if let fetch = next.decisionFetch, fetch.hash == hash, fetch.from == from, next.decidedBlock == nil {
            next = ConsensusRound()
        }
    }

    mutating func resetReceived(_ reset: ConsensusReset, _ actions: inout [ConsensusAction]) {
        guard !isLeader else { return }
        if !reset.transactions.isEmpty { actions.append(.dropTransactions(reset.transactions)) }
        // What is committed stays: a reset below the tip, or of a decided height, changes nothing here.
        guard reset.height == state.height, current.decision == nil, !isCommitting else { return }
        forgetProposal()
    }

    /// What is proposed is void: a new proposal comes. The vote that was given stays on disk.
    mutating func forgetProposal() {
        if let proposal = current.proposal { noteWithdrawn(proposal.hash) }
        current.clearProposal()
        current.offers = []
        (current.told, current.untold) = (nil, nil)
        resendAt = nil
    }

    /// A new connection: tell it where the chain is, and a validator what is being decided.
    mutating func peerReady(_ peer: PeerID, _ actions: inout [ConsensusAction]) {
        if let tipCommit { actions.append(.announce(tipCommit, to: peer)) }
        if role == .validator, let proposer, proposer.peerID == peer { return askLeader(&actions) }
        guard isLeader, let validator = state.validators.first(where: { $0.key.peerID == peer })?.key else {
            return
        }
        guard let block = current.proposedBlock else {
            return actions.append(.askStatus(of: [validator]))
        }
        guard !current.answered(by: validator) else { return }
        actions.append(.propose(block, stamp: current.stamp, to: [validator]))
    }

    /// A validator asks what became of the height that it waits for.
    mutating func askLeader(_ actions: inout [ConsensusAction]) {
        guard let proposer else { return }
        askedAbout = current.proposedBlock?.hash
        actions.append(.askStatus(of: [proposer]))
    }
}
