import Chain
import Crypto
import Multiformats

/// Fetching proposed blocks: from the announcer, and from others if the announcer is slow (`ProposalSources`).
extension ConsensusMachine {
    /// Returns whether the block of a proposal is being fetched after an announcement by `peer`, or by anyone if nil.
    public func awaits(_ block: Hash, from peer: PeerID? = nil) -> Bool {
        (current.offers + next.offers).contains { offer in
            offer.proposal.hash == block && (peer == nil || offer.from == peer)
        }
    }

    /// Returns how far this node trusts a peer's announcements of proposals.
    func standing(of peer: PeerID) -> ProposalOffer.Standing {
        if peer == proposer?.peerID { return .proposer }
        guard let key = try? PublicKey(peerID: peer), state.validators.contains(key) else { return .stranger }
        return .validator
    }

    /// Notes that a peer offers a proposal's block, unless the same or a newer one is being fetched.
    mutating func offer(
        _ verified: VerifiedProposal, _ from: PeerID, _ now: Duration,
        to round: WritableKeyPath<ConsensusMachine, ConsensusRound>
    ) -> Admission {
        let standing = standing(of: from)
        guard !self[keyPath: round].offers.holdBack(verified.proposal, from: from, standing, now: now)
        else { return .ignore }
        // Only the leader is certain to have the block.
        let isDoubtful =
            standing != .proposer && validator?.sources.isDoubtful(from, now: now) ?? false
        self[keyPath: round].offers.add(
            ProposalOffer(
                verified: verified, from: from, standing: standing, began: now,
                until: now + settings.secondSourceWait, asked: isDoubtful ? .othersFirst : .announcer))
        return isDoubtful ? .askOthersFirst : .fetch
    }

    /// If the announcer fails, other peers are asked. If others were asked first and fail, the block is fetched from
    /// the announcer after all. When all have failed, the next announcement starts afresh.
    mutating func proposalFetchFailed(
        _ hash: Hash, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) -> Admission {
        var admission = Admission.ignore
        changeOffers(of: hash, from: from) { machine, offer in
            offer.fetches -= 1
            switch offer.asked {
            case .announcer:
                machine.letDown(by: offer, now, &actions)
                machine.askOthers(&offer, now, &actions)
            case .othersFirst:
                offer.asked = .announcerLast
                offer.fetches += 1
                offer.began = now
                offer.until = now + machine.settings.secondSourceWait
                admission = .fetch
            case .announcerLast: machine.letDown(by: offer, now, &actions)
            case .all: break
            }
            return offer.fetches > 0
        }
        return admission
    }

    /// Extends the wait for a block when a good part of it arrives.
    mutating func proposalArriving(_ hash: Hash, _ from: PeerID, _ now: Duration) {
        changeOffers(of: hash, from: from) { machine, offer in
            guard offer.deadline != nil else { return true }
            offer.movedAt = now
            offer.until = min(
                now + machine.settings.secondSourceWait, offer.began + machine.settings.fetchPatience)
            return true
        }
    }

    /// Asks other peers for blocks that their announcers have not sent in time, without cancelling the first fetch.
    mutating func runFetches(_ now: Duration, _ actions: inout [ConsensusAction]) {
        changeOffers { machine, offer in
            guard let deadline = offer.deadline, now >= deadline else { return true }
            let isMoving = offer.movedAt.map { now < $0 + machine.settings.secondSourceWait } ?? false
            if !isMoving { machine.letDown(by: offer, now, &actions) }
            if case .announcer = offer.asked {
                machine.askOthers(&offer, now, &actions)
            } else {
                // The others do not have it; the announcer may still send it.
                offer.asked = .all
            }
            return true
        }
    }

    private mutating func askOthers(
        _ offer: inout ProposalOffer, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        offer.asked = .all
        offer.fetches += 1
        offer.until = now + settings.fetchPatience
        actions.append(.fetchProposalElsewhere(offer.verified, except: offer.from))
    }

    /// Counts a block that an announcer did not send in time, except against the leader, which is always asked.
    private mutating func letDown(
        by offer: ProposalOffer, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard offer.from != proposer?.peerID, let times = validator?.sources.letDown(by: offer.from, now: now)
        else { return }
        actions.append(.letDown(by: offer.from, block: offer.proposal.hash, times: times))
    }

    /// Changes the offers of a block by one announcer, or all offers; `change` returns whether to keep one.
    private mutating func changeOffers(
        of hash: Hash? = nil, from peer: PeerID? = nil,
        _ change: (inout ConsensusMachine, inout ProposalOffer) -> Bool
    ) {
        for round in [\ConsensusMachine.current, \ConsensusMachine.next] {
            var kept: [ProposalOffer] = []
            for var offer in self[keyPath: round].offers {
                let isMeant = hash.map { $0 == offer.proposal.hash && offer.from == peer } ?? true
                if !isMeant || change(&self, &offer) { kept.append(offer) }
            }
            self[keyPath: round].offers = kept
        }
    }
}
