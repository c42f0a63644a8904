import Chain
import Crypto
import Multiformats

/// A proposal whose block is being fetched. The leader's signature covers only the block's hash, so until the block
/// is here all other fields may be false: the offer replaces nothing and prevents no better one.
struct ProposalOffer: Sendable {
    /// How far the announcer of a proposal is trusted.
    enum Standing: Int, Comparable, Sendable {
        case stranger, validator, proposer

        /// The maximum number of offers of this standing.
        var places: Int { self == .proposer ? 1 : 2 }

        static func < (one: Standing, other: Standing) -> Bool { one.rawValue < other.rawValue }
    }

    /// Which peers have been asked for the block.
    enum Asked: Sendable {
        case announcer
        /// Others first, because the announcer has withheld blocks.
        case othersFirst
        /// The announcer, because none of the others has the block.
        case announcerLast
        case all
    }

    let verified: VerifiedProposal
    let from: PeerID
    let standing: Standing
    var began: Duration
    /// The time until which no other peer is asked and no other announcement of the block accepted.
    var until: Duration
    var asked: Asked
    /// When a good part of the block last arrived.
    var movedAt: Duration?
    /// Fetches in progress.
    var fetches = 1

    var proposal: BlockProposal { verified.proposal }
    var leader: PublicKey { verified.leader }

    /// When others are asked, if nothing arrives.
    var deadline: Duration? {
        switch asked {
        case .announcer, .announcerLast: until
        case .othersFirst, .all: nil
        }
    }

    /// Returns whether the leader, which is certain to have the block, is sending it in time.
    func isArriving(_ now: Duration) -> Bool {
        if case .announcer = asked { standing == .proposer && now < until } else { false }
    }

    /// Returns whether this offer makes it pointless to fetch a proposal announced now.
    func holdsBack(_ other: BlockProposal, by standing: Standing, now: Duration) -> Bool {
        guard now < until else { return false }
        guard proposal.hash == other.hash else {
            // Only the leader itself is trusted on which of two proposals is newer.
            return self.standing == .proposer && proposal.stamp >= other.stamp
        }
        if self.standing >= standing { return self.standing > standing || proposal.stamp >= other.stamp }
        // The leader is not asked for a block that a validator has begun to send.
        if case .announcer = asked, self.standing == .validator { return says(the: other) }
        return false
    }

    private func says(the other: BlockProposal) -> Bool {
        proposal.height == other.height && proposal.previousHash == other.previousHash
            && proposal.stamp == other.stamp
    }

    /// Returns whether the offer's fields agree with its block, apart from the stamp.
    func fits(_ block: Block) -> Bool {
        proposal.height == block.height && proposal.previousHash == block.header.previousHash
            && proposal.leaderSignature == block.signature
    }
}

extension [ProposalOffer] {
    /// Returns whether a proposal that a peer announces now is not worth fetching.
    func holdBack(
        _ proposal: BlockProposal, from peer: PeerID, _ standing: ProposalOffer.Standing, now: Duration
    ) -> Bool {
        if contains(where: { $0.holdsBack(proposal, by: standing, now: now) }) { return true }
        guard standing == .stranger else { return false }
        // Each offer makes this node ask others, so a stranger may have one offer, and all strangers together a few.
        let live = filter { $0.standing == .stranger && now < $0.until }
        return live.count >= standing.places || live.contains { $0.from == peer }
    }

    /// Adds an offer. It replaces the peer's earlier one, and the oldest of the same standing if there are too many.
    mutating func add(_ offer: ProposalOffer) {
        removeAll { $0.from == offer.from }
        if count(where: { $0.standing == offer.standing }) >= offer.standing.places,
            let oldest = firstIndex(where: { $0.standing == offer.standing })
        {
            remove(at: oldest)
        }
        append(offer)
    }

    /// Removes and returns the offers of a block, the most trusted first.
    mutating func take(_ block: Hash) -> [ProposalOffer] {
        let taken = filter { $0.proposal.hash == block }
        removeAll { $0.proposal.hash == block }
        return taken.sorted { $0.standing > $1.standing }
    }
}
