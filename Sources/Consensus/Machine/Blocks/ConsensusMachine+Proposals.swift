import Chain
import Crypto
import Multiformats

/// Accepting the leader's proposals, on validators.
extension ConsensusMachine {
    mutating func proposed(
        _ verified: VerifiedProposal, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) -> Admission {
        let proposal = verified.proposal
        guard isValidator, view.signers(ofProposalsFrom: from).contains(verified.leader) else {
            return .ignore
        }
        if proposal.height <= state.height {
            if proposal.hash != state.hash { answerOutOfSync(proposal, now, &actions) }
        } else if proposal.height == state.height &+ 1 {
            return proposedNow(verified, from, now, &actions)
        } else if proposal.height == state.height &+ 2, current.isLikely(proposal.previousHash) {
            if let known = next.proposal, known.stamp >= proposal.stamp { return .ignore }
            return offer(verified, from, now, to: \.next)
        } else {
            // The leader's signature covers neither height nor previous hash.
            ahead(proposal.height &- 1, .word, from, now, &actions)
        }
        return .ignore
    }

    private mutating func proposedNow(
        _ verified: VerifiedProposal, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) -> Admission {
        let proposal = verified.proposal
        guard current.decision == nil else { return .ignore }
        guard proposal.previousHash == state.hash else {
            answerOutOfSync(proposal, now, &actions)
            return .ignore
        }
        if isCommitting { return .ignore }
        if let known = current.proposal {
            if known.hash == proposal.hash {
                proposedAgain(proposal, from, &actions)
                return .ignore
            }
            guard proposal.stamp > known.stamp else { return .ignore }
        }
        guard mayVote(for: proposal.hash, stamp: proposal.stamp) else { return .ignore }
        if hasRefused(proposal.hash, stamp: proposal.stamp) {
            proposedDespiteRefusal(verified, from, &actions)
            return .ignore
        }
        return proposedNew(verified, from, now, &actions)
    }

    /// Handles a proposal that this node may vote on and has not voted on.
    private mutating func proposedNew(
        _ verified: VerifiedProposal, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) -> Admission {
        let proposal = verified.proposal
        // Others may still relay a withdrawn proposal; only the leader itself can propose it again.
        let isWanted = from == proposer?.peerID || current.told?.block == proposal.hash
        if validator?.withdrawn.contains(proposal.hash) ?? false, !isWanted { return .ignore }
        if from == proposer?.peerID {
            let told = ProposalStamp(height: proposal.height, block: proposal.hash, stamp: proposal.stamp)
            believe(told, in: \.current, &actions)
            if current.proposal?.hash == proposal.hash { return .ignore }
        }
        // The block is here, but the leader has not confirmed its stamp.
        if current.untold?.block.hash == proposal.hash { return .ignore }
        return offer(verified, from, now, to: \.current)
    }

    /// Answers the leader about a block that this node has refused before, without fetching it again.
    private mutating func proposedDespiteRefusal(
        _ verified: VerifiedProposal, _ from: PeerID, _ actions: inout [ConsensusAction]
    ) {
        guard from == proposer?.peerID else { return }
        current.clearProposal()
        current.offers = []
        current.proposal = verified.proposal
        current.signer = verified.leader
        refuse(verified.proposal.hash, stamp: verified.proposal.stamp, .unknown, &actions)
    }

    /// Handles a repeated proposal: the leader did not get the answer, or counts votes anew under a newer stamp.
    /// Relaying peers do not wait for an answer.
    private mutating func proposedAgain(
        _ proposal: BlockProposal, _ from: PeerID, _ actions: inout [ConsensusAction]
    ) {
        if proposal.stamp > current.stamp, from == proposer?.peerID {
            takeNewer(proposal.stamp, of: proposal.hash, &actions)
        } else if case .cast(let vote, let message) = current.ballot, vote.blockHash == proposal.hash,
            awaitsAnswer(from, current)
        {
            actions.append(.sendAcknowledgement(message))
        }
    }

    /// Repeats the vote on a block that the leader proposes again under a newer stamp.
    private mutating func takeNewer(_ stamp: Int64, of block: Hash, _ actions: inout [ConsensusAction]) {
        current.stamp = stamp
        guard case .cast(let vote, let message) = current.ballot, vote.blockHash == block else { return }
        cast(vote.decision, on: vote.blockHash, stamp: stamp, saying: message.answer, &actions)
    }

    /// Handles the leader's message, by gossip, with the stamp of a proposal, for validators that get the block from
    /// others.
    mutating func stampTold(_ told: ProposalStamp, _ actions: inout [ConsensusAction]) {
        guard isValidator, current.decision == nil, !isCommitting else { return }
        let round: WritableKeyPath<ConsensusMachine, ConsensusRound>
        switch told.height {
        case state.height &+ 1: round = \.current
        case state.height &+ 2: round = \.next
        default: return
        }
        believe(told, in: round, &actions)
        if round == \.current, current.proposal?.hash == told.block, told.stamp > current.stamp {
            takeNewer(told.stamp, of: told.block, &actions)
        }
    }

    /// Notes a stamp that the leader reported, by gossip or on its stream, and accepts the block that has waited for
    /// it.
    private mutating func believe(
        _ told: ProposalStamp, in round: WritableKeyPath<ConsensusMachine, ConsensusRound>,
        _ actions: inout [ConsensusAction]
    ) {
        guard told.stamp > self[keyPath: round].told?.stamp ?? 0 else { return }
        self[keyPath: round].told = told
        guard let (block, offer) = self[keyPath: round].untold, block.hash == told.block else { return }
        self[keyPath: round].untold = nil
        accept(block, [offer], offer.from, in: round, &actions)
    }

    /// Returns whether a peer that sends a round's proposal waits for this node's answer.
    func awaitsAnswer(_ peer: PeerID, _ round: ConsensusRound) -> Bool {
        peer == proposer?.peerID || peer == round.signer?.peerID
    }

    mutating func proposalFetched(
        _ block: CheckedBlock, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        for round in [\ConsensusMachine.current, \ConsensusMachine.next] {
            let offers = self[keyPath: round].offers.take(block.hash)
            guard !offers.isEmpty else { continue }
            accept(block, offers, from, in: round, &actions)
            // It may have been committed while it arrived.
            if case .proven(let commit, _) = self[keyPath: round].outcome { decided(commit, block, now) }
            return
        }
    }

    /// Accepts a block as the proposal, by the first of these offers whose fields agree with the block.
    private mutating func accept(
        _ block: CheckedBlock, _ offers: [ProposalOffer], _ from: PeerID,
        in round: WritableKeyPath<ConsensusMachine, ConsensusRound>, _ actions: inout [ConsensusAction]
    ) {
        var isTaken = false
        for offer in offers {
            if let stamp = stamp(of: block.block, by: offer, self[keyPath: round]) {
                if !isTaken { take(block, offer, stamp, from, in: round, &actions) }
                isTaken = true
            } else if offer.standing >= .validator, offer.fits(block.block),
                offer.proposal.stamp > block.stamp
            {
                // Only the leader itself can propose a block again under a newer stamp. A validator that reports one
                // relays it, or leads by a promotion that this node's operator has not made.
                if !isTaken { self[keyPath: round].untold = (block, offer) }
            } else {
                actions.append(
                    .misbehaved(
                        offer.from,
                        .mismatch("proposal \(block.hash) announced with other fields than its block's")))
            }
        }
    }

    /// Returns the stamp under which the leader proposes an offered block; nil if the offer's fields disagree with
    /// the block. No signature covers a stamp newer than the block's own, so only the leader's own report counts for
    /// it.
    private func stamp(of block: Block, by offer: ProposalOffer, _ round: ConsensusRound) -> Int64? {
        guard offer.fits(block) else { return nil }
        let own = Int64(clamping: block.header.timestamp)
        if offer.from == proposer?.peerID { return offer.proposal.stamp >= own ? offer.proposal.stamp : nil }
        if let told = round.told, told.block == block.hash, told.stamp > own { return told.stamp }
        return offer.proposal.stamp == own ? own : nil
    }

    /// Returns whether no newer proposal has come.
    private func isNewest(_ stamp: Int64, of block: Hash, in round: ConsensusRound) -> Bool {
        round.proposal.map { stamp > $0.stamp || $0.hash == block } ?? true
    }

    private mutating func take(
        _ block: CheckedBlock, _ offer: ProposalOffer, _ stamp: Int64, _ from: PeerID,
        in round: WritableKeyPath<ConsensusMachine, ConsensusRound>, _ actions: inout [ConsensusAction]
    ) {
        guard isNewest(stamp, of: block.hash, in: self[keyPath: round]) else { return }
        self[keyPath: round].clearProposal()
        self[keyPath: round].proposal = BlockProposal(block.block, sender: offer.leader, stamp: stamp)
        self[keyPath: round].signer = offer.leader
        self[keyPath: round].proposedBlock = block
        self[keyPath: round].stamp = stamp
        self[keyPath: round].arrived = wallClock
        self[keyPath: round].offers.removeAll { $0.proposal.stamp <= stamp }
        // A promoted leader must send the former leader's block itself.
        guard stamp == block.stamp || offer.leader == proposer else { return }
        actions.append(.relayProposal(block, stamp: stamp, except: from))
    }

    mutating func proposalInvalid(_ block: Block, _ reason: String, _ actions: inout [ConsensusAction]) {
        _ = next.offers.take(block.hash)
        let offers = current.offers.take(block.hash)
        for offer in offers {
            guard let stamp = stamp(of: block, by: offer, current),
                isNewest(stamp, of: block.hash, in: current), mayVote(for: block.hash, stamp: stamp)
            else { continue }
            current.clearProposal()
            current.proposal = BlockProposal(block, sender: offer.leader, stamp: stamp)
            return refuse(block.hash, stamp: stamp, .invalidBlock, because: reason, &actions)
        }
    }
}
