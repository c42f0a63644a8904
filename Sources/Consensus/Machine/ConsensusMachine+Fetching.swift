import Chain
import Crypto
import Multiformats

/// Fetching proposed blocks: from the announcer, and from others when that one keeps the node waiting
/// (`ProposalSources`).
extension ConsensusMachine {
    /// Whether a proposal's block is being fetched, from this peer or, without one, from anybody.
    public func awaits(_ block: Hash, from peer: PeerID? = nil) -> Bool {
        (current.offers + next.offers).contains { offer in
            offer.proposal.hash == block && (peer == nil || offer.from == peer)
        }
    }

    /// How far a peer's announcements of proposals are believed.
    func standing(of peer: PeerID) -> ProposalOffer.Standing {
        if peer == proposer?.peerID { return .proposer }
        guard let key = try? PublicKey(peerID: peer), state.validators.contains(key) else { return .stranger }
        return .validator
    }

    /// Fetches a proposal's block, unless that or a newer one is being fetched.
    mutating func offer(
        _ verified: VerifiedProposal, _ from: PeerID, _ now: Duration,
        to round: WritableKeyPath<ConsensusMachine, ConsensusRound>
    ) -> Admission {
        let standing = standing(of: from)
        guard !self[keyPath: round].offers.holdBack(verified.proposal, from: from, standing, now: now)
        else { return .ignore }
        // Nobody but the leader is sure to have it.
        let isDoubtful =
            standing != .proposer && validator?.sources.isDoubtful(from, now: now) ?? false
        self[keyPath: round].offers.add(
            ProposalOffer(
                verified: verified, from: from, standing: standing, began: now,
                until: now + settings.secondSourceWait, asked: isDoubtful ? .othersFirst : .announcer))
        return isDoubtful ? .askOthersFirst : .fetch
    }

    /// A failure of the announcer turns to others, and one of the others to an announcer that is known to withhold: then it is
    /// to be fetched from that one. When all have failed, the next announcement counts.
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

    /// A block is on its way, and a good part of it came just now: it is waited for a little longer.
    mutating func proposalArriving(_ hash: Hash, _ from: PeerID, _ now: Duration) {
        changeOffers(of: hash, from: from) { machine, offer in
            guard offer.deadline != nil else { return true }
            offer.movedAt = now
            offer.until = min(
                now + machine.settings.secondSourceWait, offer.began + machine.settings.fetchPatience)
            return true
        }
    }

    /// Asks others for what an announcer has not sent in time, without breaking off what it sends.
    mutating func runFetches(_ now: Duration, _ actions: inout [ConsensusAction]) {
        changeOffers { machine, offer in
            guard let deadline = offer.deadline, now >= deadline else { return true }
            let isMoving = offer.movedAt.map { now < $0 + machine.settings.secondSourceWait } ?? false
            if !isMoving { machine.letDown(by: offer, now, &actions) }
            if case .announcer = offer.asked {
                machine.askOthers(&offer, now, &actions)
            } else {
                // It may still come; the others do not have it.
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

    /// The leader is always asked, so what it withholds counts for nothing.
    private mutating func letDown(
        by offer: ProposalOffer, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        guard offer.from != proposer?.peerID, let times = validator?.sources.letDown(by: offer.from, now: now)
        else { return }
        actions.append(.letDown(by: offer.from, block: offer.proposal.hash, times: times))
    }

    /// Changes the offers of a block that a peer announced, or all; `change` says whether to keep one.
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
