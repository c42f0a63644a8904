import Chain
import Collections
import Crypto
import Multiformats

/// From whom proposed blocks are taken (docs/consensus.md, "A height"): from whoever announces one first, from another as
/// well when that is slow, and not first from whoever let this node down twice lately.
struct ProposalSources: Sendable {
    /// After so long one let-down is forgiven.
    static let forgiven = Duration.seconds(300)
    /// Peers that are remembered; more than a validator has as neighbours.
    static let capacity = 256
    /// Let-downs from which on others are asked first.
    static let doubtful = 2

    private var letDowns = FadingCounts<PeerID>(forgiven: forgiven, capacity: capacity)

    mutating func letDown(by peer: PeerID, now: Duration) { letDowns.add(1, to: peer, now: now) }

    func isDoubtful(_ peer: PeerID, now: Duration) -> Bool {
        letDowns.count(of: peer, now: now) >= Self.doubtful
    }
}

extension ConsensusMachine {
    /// Whether a proposal's block is being fetched, from this peer or, without one, from anybody.
    public func awaits(_ block: Hash, from peer: PeerID? = nil) -> Bool {
        [current.offer, next.offer].contains { offer in
            offer.map { $0.proposal.hash == block && (peer == nil || $0.from == peer) } ?? false
        }
    }

    /// Fetches a proposal's block, unless that or a newer one is being fetched.
    func offer(
        _ verified: VerifiedProposal, _ from: PeerID, _ now: Duration, to round: inout ConsensusRound,
        _ actions: inout [ConsensusAction]
    ) {
        if let offer = round.offer, now < offer.until, offer.proposal.stamp >= verified.proposal.stamp {
            return
        }
        // Nobody but the leader is sure to have it.
        let isDoubtful = from != proposer?.peerID && sources.isDoubtful(from, now: now)
        round.offer = .init(
            verified: verified, from: from, began: now, until: now + settings.secondSourceWait,
            isElsewhere: isDoubtful)
        actions.append(
            isDoubtful
                ? .fetchProposalElsewhere(verified, except: from) : .fetchProposal(verified, from: from))
    }

    /// A failure of the announcer turns to others. When all that were asked have failed, the next announcement counts.
    mutating func proposalFetchFailed(
        _ hash: Hash, _ from: PeerID, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        for isNext in [false, true] {
            guard var offer = isNext ? next.offer : current.offer, offer.proposal.hash == hash,
                offer.from == from
            else { continue }
            offer.fetches -= 1
            if !offer.isElsewhere {
                askOthers(&offer, now, &actions)
                sources.letDown(by: from, now: now)
            }
            let left = offer.fetches > 0 ? offer : nil
            if isNext { next.offer = left } else { current.offer = left }
        }
    }

    /// A block is on its way, and a good part of it came just now: it is waited for a little longer.
    mutating func proposalArriving(_ hash: Hash, _ from: PeerID, _ now: Duration) {
        for isNext in [false, true] {
            guard var offer = isNext ? next.offer : current.offer, offer.proposal.hash == hash,
                offer.from == from,
                !offer.isElsewhere
            else { continue }
            offer.movedAt = now
            offer.until = min(now + settings.secondSourceWait, offer.began + settings.fetchPatience)
            if isNext { next.offer = offer } else { current.offer = offer }
        }
    }

    /// Asks others for what an announcer has not sent in time, without breaking off what it sends.
    mutating func runFetches(_ now: Duration, _ actions: inout [ConsensusAction]) {
        for isNext in [false, true] {
            guard var offer = isNext ? next.offer : current.offer, !offer.isElsewhere, now >= offer.until
            else {
                continue
            }
            let isMoving = offer.movedAt.map { now < $0 + settings.secondSourceWait } ?? false
            if !isMoving { sources.letDown(by: offer.from, now: now) }
            askOthers(&offer, now, &actions)
            if isNext { next.offer = offer } else { current.offer = offer }
        }
    }

    private func askOthers(
        _ offer: inout ConsensusRound.Offer, _ now: Duration, _ actions: inout [ConsensusAction]
    ) {
        offer.isElsewhere = true
        offer.fetches += 1
        offer.until = now + settings.fetchPatience
        actions.append(.fetchProposalElsewhere(offer.verified, except: offer.from))
    }
}
