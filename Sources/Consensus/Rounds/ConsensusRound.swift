import Chain
import Crypto
import Multiformats

/// What a node holds about one height above its tip.
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
    }

    /// What is known about the committed block of this height.
    enum Outcome: Sendable {
        case open
        /// The commit is proven, but the block is not here. Without a fetch no peer is being asked for it.
        case proven(VerifiedCommit, Fetch?)
        /// The block is here.
        case decided(VerifiedCommit, CheckedBlock)
    }

    /// The newest proposal whose block is here, or was refused. Nil on the leader itself.
    var proposal: BlockProposal?
    /// Who signed `proposal`. Nil on the leader itself.
    var signer: PublicKey?
    /// The proposed block: fetched, or on the leader its own.
    var proposedBlock: CheckedBlock?
    /// The stamp under which it is proposed: the block's own, or a newer one when the leader proposes it again.
    var stamp: Int64 = 0
    /// Wall clock at the proposed block's arrival, ms.
    var arrived: UInt64 = 0
    /// When the block in hand, having failed, is tried again: this node's machine had trouble, or the block was agreed
    /// to before a restart, and cannot be refused.
    var retryAt: Duration?
    /// How often it has failed.
    var failures = 0
    /// What is being fetched; the oldest first.
    var offers: [ProposalOffer] = []
    /// The newest stamp that the leader has told of by gossip, which it signs.
    var told: ProposalStamp?
    /// A block that was passed on under a newer stamp than its own, which the leader has not told of yet.
    var untold: (block: CheckedBlock, offer: ProposalOffer)?
    /// What this node says about `proposedBlock`, or about a proposal that it refused.
    var ballot: Ballot = .none
    var outcome: Outcome = .open

    /// Proof that a block of this height is committed.
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

    /// Whether a block of the next height may name this one as its previous one, as far as this node can tell.
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
