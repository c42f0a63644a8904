import Chain
import Collections
import Crypto
import Multiformats

/// From whom proposed blocks are taken (docs/consensus.md, "A height"): from whoever announces one first, from another as
/// well when that is slow, and last from whoever let this node down twice lately.
struct ProposalSources: Sendable {
    /// After so long one let-down is forgiven.
    static let forgiven = Duration.seconds(300)
    /// Peers that are remembered; more than a validator has as neighbours.
    static let capacity = 256
    /// Let-downs from which on others are asked first.
    static let doubtful = 2

    private var letDowns = FadingCounts<PeerID>(forgiven: forgiven, capacity: capacity)

    /// Returns how often it did so lately, this time included.
    mutating func letDown(by peer: PeerID, now: Duration) -> Int { letDowns.add(1, to: peer, now: now) }

    func isDoubtful(_ peer: PeerID, now: Duration) -> Bool {
        letDowns.count(of: peer, now: now) >= Self.doubtful
    }
}

extension ConsensusMachine {
    /// Whether a proposal's block is being fetched, from this peer or, without one, from anybody.
    public func awaits(_ block: Hash, from peer: PeerID? = nil) -> Bool {
        (current.offers + next.offers).contains { offer in
            offer.proposal.hash == block && (peer == nil || offer.from == peer)
        }
    }

    /// Whether others are asked for a proposal's block before this peer, which announced it.
    public func asksOthersFirst(for block: Hash, than peer: PeerID) -> Bool {
        (current.offers + next.offers).contains { offer in
            guard case .othersFirst = offer.asked else { return false }
            return offer.proposal.hash == block && offer.from == peer
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
        to round: WritableKeyPath<ConsensusMachine, ConsensusRound>, _ actions: inout [ConsensusAction]
    ) {
        let standing = standing(of: from)
        guard !self[keyPath: round].offers.holdBack(verified.proposal, from: from, standing, now: now)
        else { return }
        // Nobody but the leader is sure to have it.
        let isDoubtful = standing != .proposer && sources.isDoubtful(from, now: now)
        self[keyPath: round].offers.add(
            ProposalOffer(
                verified: verified, from: from, standing: standing, began: now,
                until: now + settings.secondSourceWait, asked: isDoubtful ? .othersFirst : .announcer))
        actions.append(
            isDoubtful
                ? .fetchProposalElsewhere(verified, except: from) : .fetchProposal(verified, from: from))
    }

    /// A failure of the announcer turns to others, and one of the others to an announcer that is known to withhold. When all
    /// have failed, the next announcement counts.
    mutating func proposalFetchFailed(
        _ hash: Hash, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
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
                actions.append(.fetchProposal(offer.verified, from: offer.from))
            case .announcerLast: machine.letDown(by: offer, now, &actions)
            case .all: break
            }
            return offer.fetches > 0
        }
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
        guard offer.from != proposer?.peerID else { return }
        let times = sources.letDown(by: offer.from, now: now)
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
