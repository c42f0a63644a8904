import Chain
import Crypto
import Multiformats

/// A node's state at one height above its tip.
struct ConsensusRound: Sendable {
    enum Ballot: Sendable {
        case none
        case recording(Vote)
        case cast(Vote, AckRes)
    }

    /// The fetch of a committed block: until `until` no other peer is asked.
    struct Fetch: Sendable {
        var hash: Hash
        var from: PeerID
        var until: Duration
        /// Whether the block is still arriving as the leader's proposal, so that it is not requested a second time.
        var isProposal = false
    }

    /// The knowledge about the committed block of this height.
    enum Outcome: Sendable {
        case open
        /// The commit is proven, but the block is not here. Without a fetch no peer is being asked for it.
        case proven(VerifiedCommit, Fetch?)
        /// The block is here.
        case decided(VerifiedCommit, CheckedBlock)
    }

    /// The newest proposal whose block is here or was refused; nil on the leader itself.
    var proposal: BlockProposal?
    /// The signer of `proposal`; nil on the leader itself.
    var signer: PublicKey?
    /// The proposed block: fetched, or on the leader its own.
    var proposedBlock: CheckedBlock?
    /// The stamp under which it is proposed: the block's own, or a newer one when the leader proposes it again.
    var stamp: Int64 = 0
    /// The wall clock at the proposed block's arrival, in ms.
    var arrived: UInt64 = 0
    /// When the block, having failed, is tried again: this node's machine had trouble, or the block was agreed to
    /// before a restart and cannot be refused.
    var retryAt: Duration?
    /// The number of failures.
    var failures = 0
    /// The proposals being fetched, the oldest first.
    var offers: [ProposalOffer] = []
    /// The newest stamp that the leader has reported by gossip, which it signs.
    var told: ProposalStamp?
    /// A block that was relayed under a stamp newer than its own, which the leader has not confirmed yet.
    var untold: (block: CheckedBlock, offer: ProposalOffer)?
    /// This node's vote on `proposedBlock`, or on a proposal that it refused.
    var ballot: Ballot = .none
    var outcome: Outcome = .open

    /// The commit of a block of this height.
    var decision: VerifiedCommit? {
        switch outcome {
        case .open: nil
        case .proven(let commit, _), .decided(let commit, _): commit
        }
    }

    var decidedBlock: CheckedBlock? {
        if case .decided(_, let block) = outcome { block } else { nil }
    }

    var decisionFetch: Fetch? {
        if case .proven(_, let fetch) = outcome { fetch } else { nil }
    }

    /// The offer by which a block arrives from the leader.
    func arriving(_ hash: Hash, now: Duration) -> ProposalOffer? {
        offers.first { $0.proposal.hash == hash && $0.isArriving(now) }
    }

    /// Returns whether a block of the next height may name this one as its previous one, as far as this node can
    /// tell.
    func isLikely(_ hash: Hash) -> Bool {
        if let known = decision?.hash ?? proposedBlock?.hash { return known == hash }
        return offers.contains { $0.proposal.hash == hash }
    }

    var refused: Hash? {
        switch ballot {
        case .recording(let vote), .cast(let vote, _): vote.decision == .nack ? vote.blockHash : nil
        case .none: nil
        }
    }

    var hasVoted: Bool {
        if case .none = ballot { false } else { true }
    }

    /// Forgets the proposal and this node's vote on it.
    mutating func clearProposal() {
        proposal = nil
        signer = nil
        proposedBlock = nil
        retryAt = nil
        failures = 0
        ballot = .none
    }

    /// Forgets the proposal and all offers.
    mutating func forgetProposals() {
        clearProposal()
        offers = []
        (told, untold) = (nil, nil)
    }
}
