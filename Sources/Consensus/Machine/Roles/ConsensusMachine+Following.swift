import Chain
import Crypto
import Multiformats

/// Following the leader: which messages are worth checking, announcements of committed blocks, and resets.
extension ConsensusMachine {
    /// Returns whether the signature of a proposal from `peer` is worth checking.
    public func wantsToCheck(_ proposal: BlockProposal, from peer: PeerID, now: Duration) -> Bool {
        guard halted == nil, isValidator else { return false }
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

    /// Returns whether an answer's signature is worth checking.
    public func wantsToCheck(_ answer: AckRes, now: Duration) -> Bool {
        guard halted == nil, let leader, state.validators.contains(answer.signature.publicKey) else {
            return false
        }
        if answer.signature.publicKey == key { return mayBeForeign(answer) }
        if case .outOfSync(let best, _) = answer.answer { return best.height >= state.height }
        guard answer.height > state.height else { return isAskingAgain(now) }
        guard answer.height == state.height &+ 1 else { return false }
        guard answer.block == current.proposedBlock?.hash else { return now >= leader.nextInquiry }
        // The first answer that contradicts an earlier one is worth a warning.
        let voter = answer.signature.publicKey
        return !leader.tally.answered(by: voter)
            || (!leader.doubted.contains(voter) && !leader.tally.holds(answer))
    }

    /// Returns whether the announcement of this block is worth checking.
    public func wantsToCheck(announcementOf hash: Hash, height: Int64) -> Bool {
        guard halted == nil else { return false }
        if height == state.height { return hash != state.hash }
        if height == state.height &+ 1 { return current.decision == nil }
        if height == state.height &+ 2, next.decision?.hash == hash { return false }
        return height > state.height
    }

    mutating func announced(
        _ commit: VerifiedCommit, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) -> Admission {
        if commit.height == state.height, commit.hash != state.hash {
            halt(.forked(height: commit.height, own: state.hash, committed: commit.hash), &actions)
        }
        guard commit.height > state.height else { return .ignore }
        prove(commit.height, now)
        if commit.height == state.height &+ 1 { return announcedNow(commit, from, now) }
        guard commit.height == state.height &+ 2, current.isLikely(commit.header.previousHash), !isSyncing
        else {
            ahead(commit.height, .proof, from, now, &actions)
            return .ignore
        }
        guard next.decidedBlock == nil else { return .ignore }
        if let fetch = next.decisionFetch, now < fetch.until { return .ignore }
        let block = next.proposedBlock.flatMap { $0.hash == commit.hash ? $0 : nil }
        let admission = decide(commit, block, from, now, in: \.next)
        // The previous block is committed, too, but its commit is not here: ask for it.
        if current.decision == nil, !isCommitting { ahead(commit.height &- 1, .proof, from, now, &actions) }
        return admission
    }

    private mutating func announcedNow(
        _ commit: VerifiedCommit, _ from: PeerID, _ now: Duration
    ) -> Admission {
        guard !isCommitting, current.decidedBlock == nil else { return .ignore }
        if let fetch = current.decisionFetch, now < fetch.until { return .ignore }
        current.retryAt = nil
        return decide(commit, heldBlock(commit.hash), from, now, in: \.current)
    }

    /// Decides a round. Fetches its block unless that is here, or arrives as a proposal.
    private mutating func decide(
        _ commit: VerifiedCommit, _ block: CheckedBlock?, _ from: PeerID, _ now: Duration,
        in round: WritableKeyPath<ConsensusMachine, ConsensusRound>
    ) -> Admission {
        if let block {
            self[keyPath: round].outcome = .decided(commit, block)
            return .ignore
        }
        if let offer = self[keyPath: round].arriving(commit.hash, now: now) {
            self[keyPath: round].outcome = .proven(
                commit, .init(hash: commit.hash, from: offer.from, until: offer.until, isProposal: true))
            return .ignore
        }
        self[keyPath: round].outcome = .proven(
            commit, .init(hash: commit.hash, from: from, until: now + settings.fetchPatience))
        return .fetch
    }

    var isCommitting: Bool {
        switch lane {
        case .committing, .committingRun: true
        case .idle, .executing, .stopping, .prepared, .rollingBack: false
        }
    }

    /// Returns the block of the current height that was fetched as a proposal or is in the lane.
    private func heldBlock(_ hash: Hash) -> CheckedBlock? {
        [current.proposedBlock, lane.block].lazy.compactMap { $0 }.first { $0.hash == hash }
    }

    mutating func decided(_ commit: VerifiedCommit, _ block: CheckedBlock, _ now: Duration) {
        guard commit.hash == block.hash else { return }
        prove(commit.height, now)
        if commit.height == state.height &+ 1 {
            if isCommitting { return }
            if current.decidedBlock?.hash != block.hash { current.retryAt = nil }
            current.outcome = .decided(commit, block)
        } else if commit.height == state.height &+ 2 {
            next.outcome = .decided(commit, block)
        } else {
            decidedAhead(commit, block)
        }
    }

    mutating func decidedFetchFailed(
        _ hash: Hash, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        if case .proven(let commit, let fetch?) = current.outcome, fetch.hash == hash, fetch.from == from {
            current.outcome = .proven(commit, nil)
            ahead(state.height &+ 1, .proof, from, now, &actions)
        }
        if let fetch = next.decisionFetch, fetch.hash == hash, fetch.from == from { next = ConsensusRound() }
    }

    /// Follows the fetches of proposals that have been committed meanwhile. When one has stalled or failed, asks others for the
    /// committed block.
    mutating func followArrivals(_ now: Duration, _ actions: inout [ConsensusAction]) {
        for round in [\ConsensusMachine.current, \ConsensusMachine.next] {
            guard case .proven(let commit, var fetch?) = self[keyPath: round].outcome, fetch.isProposal else {
                continue
            }
            guard let offer = self[keyPath: round].arriving(fetch.hash, now: now) else {
                decidedFetchFailed(fetch.hash, fetch.from, now, &actions)
                continue
            }
            fetch.until = offer.until
            self[keyPath: round].outcome = .proven(commit, fetch)
        }
    }

    mutating func resetReceived(_ reset: ConsensusReset, _ actions: inout [ConsensusAction]) {
        guard !isLeader else { return }
        if !reset.transactions.isEmpty { actions.append(.dropTransactions(reset.transactions)) }
        // A reset below the tip, or of a decided height, changes nothing: commits are final.
        guard reset.height == state.height, current.decision == nil, !isCommitting else { return }
        forgetProposal()
    }

    /// Forgets a withdrawn proposal; the vote on it stays on disk.
    mutating func forgetProposal() {
        if let proposal = current.proposal { validator?.withdrawn.note(proposal.hash) }
        current.forgetProposals()
        timers.cancel(.resend)
    }

    /// Announces the newest block to a newly connected peer, and the current proposal to a validator.
    mutating func peerReady(_ peer: PeerID, _ actions: inout [ConsensusAction]) {
        if let tipCommit { actions.append(.announce(tipCommit, to: peer)) }
        if isValidator, let proposer, proposer.peerID == peer { return askLeader(&actions) }
        guard let leader, let validator = state.validators.first(where: { $0.key.peerID == peer })?.key
        else { return }
        guard let block = current.proposedBlock else {
            return actions.append(.askStatus(of: [validator]))
        }
        guard !leader.tally.answered(by: validator) else { return }
        actions.append(.propose(block, stamp: current.stamp, to: [validator]))
    }

    /// Asks the leader for the status of the current height.
    mutating func askLeader(_ actions: inout [ConsensusAction]) {
        guard let proposer else { return }
        let proposed = current.proposedBlock?.hash
        validator?.askedAbout = proposed
        actions.append(.askStatus(of: [proposer]))
    }
}
