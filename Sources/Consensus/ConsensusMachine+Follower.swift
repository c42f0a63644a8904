import Chain
import Crypto
import Multiformats

/// Following the leader: proposals (validators only), announcements and catching up (everybody).
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
            if let offer = round.offer, offer.proposal.hash == proposal.hash { return now >= offer.until }
        }
        return true
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
            // Its height and the block before are no part of what the leader signed.
            ahead(proposal.height &- 1, false, from, now, &actions)
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
                return proposedAgain(proposal, from, &actions)
            }
            guard proposal.stamp > known.stamp else { return }
        }
        guard mayVote(for: proposal.hash, stamp: proposal.stamp) else { return }
        if hasRefused(proposal.hash, stamp: proposal.stamp) {
            return proposedDespiteRefusal(verified, from, &actions)
        }
        // Others may still pass on what the leader has withdrawn; only the leader itself can want it again.
        if withdrawn.contains(proposal.hash), from != proposer?.peerID { return }
        offer(verified, from, now, to: &current, &actions)
    }

    /// A block that this node refused before a restart or a withdrawal is not fetched again. The leader is answered.
    private mutating func proposedDespiteRefusal(
        _ verified: VerifiedProposal, _ from: PeerID, _ actions: inout [ConsensusAction]
    ) {
        guard from == proposer?.peerID else { return }
        current.clearProposal()
        current.offer = nil
        current.proposal = verified.proposal
        current.signer = verified.leader
        refuse(verified.proposal.hash, stamp: verified.proposal.stamp, .unknown, &actions)
    }

    /// The leader asks again: it did not get the answer, or counts votes anew under a newer stamp. Those who pass the
    /// proposal on do not wait for an answer.
    private mutating func proposedAgain(
        _ proposal: BlockProposal, _ from: PeerID, _ actions: inout [ConsensusAction]
    ) {
        let isNewer = proposal.stamp > current.stamp && from == proposer?.peerID
        if isNewer { current.stamp = proposal.stamp }
        guard case .cast(let vote, let message) = current.ballot, vote.blockHash == proposal.hash else {
            return
        }
        if isNewer {
            cast(vote.decision, on: vote.blockHash, stamp: proposal.stamp, saying: message.answer, &actions)
        } else if awaitsAnswer(from, current) {
            actions.append(.sendAcknowledgement(message))
        }
    }

    /// Whether a peer that brings a round's proposal is the one that it is to be answered to.
    private func awaitsAnswer(_ peer: PeerID, _ round: ConsensusRound) -> Bool {
        peer == proposer?.peerID || peer == round.signer?.peerID
    }

    mutating func proposalFetched(
        _ block: CheckedBlock, _ from: PeerID, _ actions: inout [ConsensusAction]
    ) {
        if current.offer?.proposal.hash == block.hash {
            accept(block, from, in: &current, &actions)
        } else if next.offer?.proposal.hash == block.hash {
            accept(block, from, in: &next, &actions)
        }
    }

    private func accept(
        _ block: CheckedBlock, _ from: PeerID, in round: inout ConsensusRound,
        _ actions: inout [ConsensusAction]
    ) {
        guard let offer = round.offer else { return }
        let proposal = offer.proposal
        round.offer = nil
        // Only the leader itself may propose a block again under a newer stamp, which no signature covers.
        let mayBeNewer = offer.from == proposer?.peerID && proposal.stamp > block.stamp
        guard proposal.height == block.height, proposal.previousHash == block.header.previousHash,
            proposal.stamp == block.stamp || mayBeNewer, proposal.leaderSignature == block.block.signature
        else {
            // A validator that proposes anew what the leader proposed leads by a promotion that this node was not told of.
            let isValidator = state.validators.contains { $0.key.peerID == offer.from }
            if isValidator, proposal.stamp > block.stamp { return }
            actions.append(
                .misbehaved(
                    offer.from,
                    .mismatch("proposal \(block.hash) announced with other fields than its block's")))
            return
        }
        round.clearProposal()
        round.proposal = proposal
        round.signer = offer.leader
        round.proposedBlock = block
        round.stamp = proposal.stamp
        round.arrived = wallClock
        // Others take a newer stamp from the leader only.
        if proposal.stamp == block.stamp { actions.append(.relayProposal(block, except: from)) }
    }

    mutating func proposalInvalid(_ hash: Hash, _ reason: String, _ actions: inout [ConsensusAction]) {
        guard let proposal = current.offer?.proposal, proposal.hash == hash else { return }
        current.offer = nil
        current.clearProposal()
        current.proposal = proposal
        actions.append(
            .warn(
                "refusing the leader's proposal", height: state.height &+ 1, block: hash, reason: reason))
        refuse(hash, stamp: proposal.stamp, .invalidBlock, &actions)
    }

    mutating func announced(
        _ commit: VerifiedCommit, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        if commit.height == state.height, commit.hash != state.hash {
            return halt(.forked(height: commit.height, own: state.hash, committed: commit.hash), &actions)
        }
        guard commit.height > state.height else { return }
        prove(commit.height)
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
        } else if commit.height == state.height &+ 2, commit.header.previousHash == current.likelyHash,
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
            if current.decision == nil, !isCommitting { ahead(commit.height &- 1, true, from, now, &actions) }
        } else {
            ahead(commit.height, true, from, now, &actions)
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

    mutating func decided(
        _ commit: VerifiedCommit, _ block: CheckedBlock, _ actions: inout [ConsensusAction]
    ) {
        guard commit.hash == block.hash else { return }
        prove(commit.height)
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
            if current.decidedBlock == nil { ahead(state.height &+ 1, true, from, now, &actions) }
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
        current.offer = nil
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
