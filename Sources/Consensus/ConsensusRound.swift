import Chain
import Crypto
import Multiformats
import Storage

/// What a node holds about one height above its tip.
struct ConsensusRound: Sendable {
    enum Ballot: Sendable {
        case none
        case recording(Vote)
        case cast(Vote, AckRes)
    }

    /// A committed block that is being taken from a peer: until when others are not asked.
    struct Fetch: Sendable {
        var hash: Hash
        var from: PeerID
        var until: Duration
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
    /// Leader: the block was acknowledged before it was proposed now, so its time is not for this node to judge.
    var mayBeCommitted = false
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
    /// Proof that a block of this height is committed.
    var decision: VerifiedCommit?
    var decidedBlock: CheckedBlock?
    var decisionFetch: Fetch?
    /// Leader: the answers to its proposal, in order of arrival, one a validator.
    var answers: [VerifiedAcknowledgement] = []
    /// Leader: validators that have voted for a newer block than its proposal.
    var heldBack: Set<PublicKey> = []

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

    mutating func clearProposal() {
        proposal = nil
        signer = nil
        proposedBlock = nil
        mayBeCommitted = false
        retryAt = nil
        failures = 0
        ballot = .none
        answers = []
        heldBack = []
    }

    func answered(by key: PublicKey) -> Bool { answers.contains { $0.voter == key } }

    /// Votes that agree with `appHash`, those that executed the same block to another hash, and refusals.
    func count(appHash: Hash) -> (agreed: Int, forked: Int, rejected: Int) {
        var result = (agreed: 0, forked: 0, rejected: 0)
        for answer in answers {
            switch answer.message.appHash {
            case appHash: result.agreed += 1
            case .some: result.forked += 1
            case nil: result.rejected += 1
            }
        }
        return result
    }
}
