import Chain
import Crypto
import Multiformats

/// A proposal whose block is being taken from a peer. Until it is here the fields that the leader's signature does not
/// cover, all but the block's hash, may be a lie: it replaces nothing yet, and keeps nobody better from offering.
struct ProposalOffer: Sendable {
    /// How far whoever announces a proposal is believed.
    enum Standing: Int, Comparable, Sendable {
        case stranger, validator, proposer

        /// Offers of this standing that are followed at once.
        var places: Int { self == .proposer ? 1 : 2 }

        static func < (one: Standing, other: Standing) -> Bool { one.rawValue < other.rawValue }
    }

    /// Who is asked for the block.
    enum Asked: Sendable {
        case announcer
        /// Others before the announcer, who is known to withhold.
        case othersFirst
        /// The announcer, since none of the others has it.
        case announcerLast
        case all
    }

    let verified: VerifiedProposal
    let from: PeerID
    let standing: Standing
    var began: Duration
    /// Until when others are not asked, nor another announcement of the block taken.
    var until: Duration
    var asked: Asked
    /// When a good part of the block came last.
    var movedAt: Duration?
    /// Attempts under way.
    var fetches = 1

    var proposal: BlockProposal { verified.proposal }
    var leader: PublicKey { verified.leader }

    /// When it is looked at again, if nothing comes.
    var deadline: Duration? {
        switch asked {
        case .announcer, .announcerLast: until
        case .othersFirst, .all: nil
        }
    }

    /// Whether a proposal that comes now is not worth fetching because of this one.
    func holdsBack(_ other: BlockProposal, by standing: Standing, now: Duration) -> Bool {
        guard now < until else { return false }
        guard proposal.hash == other.hash else {
            // Only the leader's own word says which of two is the newer.
            return self.standing == .proposer && proposal.stamp >= other.stamp
        }
        if self.standing >= standing { return self.standing > standing || proposal.stamp >= other.stamp }
        // What a validator has begun to send is not asked of the leader as well.
        if case .announcer = asked, self.standing == .validator { return says(the: other) }
        return false
    }

    private func says(the other: BlockProposal) -> Bool {
        proposal.height == other.height && proposal.previousHash == other.previousHash
            && proposal.stamp == other.stamp
    }

    /// Whether its fields are those of its block, the stamp apart.
    func fits(_ block: Block) -> Bool {
        proposal.height == block.height && proposal.previousHash == block.header.previousHash
            && proposal.leaderSignature == block.signature
    }
}

extension [ProposalOffer] {
    /// Whether a proposal that a peer brings now is not worth fetching.
    func holdBack(
        _ proposal: BlockProposal, from peer: PeerID, _ standing: ProposalOffer.Standing, now: Duration
    ) -> Bool {
        if contains(where: { $0.holdsBack(proposal, by: standing, now: now) }) { return true }
        guard standing == .stranger else { return false }
        // Each makes others be asked: no stranger has two, and all together no more than their places.
        let live = filter { $0.standing == .stranger && now < $0.until }
        return live.count >= standing.places || live.contains { $0.from == peer }
    }

    /// Takes in one more. It replaces what its peer offered before, and the oldest of its standing beyond their places.
    mutating func add(_ offer: ProposalOffer) {
        removeAll { $0.from == offer.from }
        if count(where: { $0.standing == offer.standing }) >= offer.standing.places,
            let oldest = firstIndex(where: { $0.standing == offer.standing })
        {
            remove(at: oldest)
        }
        append(offer)
    }

    /// Takes out those of a block, the best believed first.
    mutating func take(_ block: Hash) -> [ProposalOffer] {
        let taken = filter { $0.proposal.hash == block }
        removeAll { $0.proposal.hash == block }
        return taken.sorted { $0.standing > $1.standing }
    }
}
