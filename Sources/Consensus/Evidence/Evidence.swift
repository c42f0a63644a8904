import Bytes
import Chain
import Crypto

/// A block proposal whose leader's signature holds. It can only be made by checking it, so that nothing unsigned
/// reaches `ConsensusMachine`. The check costs one signature: make it on a worker.
public struct VerifiedProposal: Sendable {
    /// What the leader signed.
    public let proposal: BlockProposal
    /// The leader that signed it.
    public let leader: PublicKey

    /// Checks the signature.
    public init(verifying proposal: BlockProposal, leader: PublicKey) throws(ConsensusError) {
        guard proposal.verify(leader) else { throw .notSignedByLeader(proposal.hash) }
        self.proposal = proposal
        self.leader = leader
    }
}

/// A validator's answer to a proposal, its signature checked.
public struct VerifiedAcknowledgement: Sendable {
    /// What the validator signed.
    public let message: AckRes
    /// The header that an out-of-sync answer carries, if the leader signed it. Another one's signature proves
    /// nothing, but may be that of a leader who came after.
    public let proof: BlockHeader?
    /// Who signed it.
    public var voter: PublicKey { message.signature.publicKey }

    /// Checks the vote's signature, and the leader's on what an out-of-sync answer carries.
    public init(verifying message: AckRes, leader: PublicKey) throws(ConsensusError) {
        guard message.verify() else { throw .badVoteSignature(message.signature.publicKey) }
        if case .outOfSync(let header, let leaderSignature) = message.answer,
            leader.verify(leaderSignature, of: header.hash.array)
        {
            proof = header
        } else {
            proof = nil
        }
        self.message = message
    }

    /// Whether this is what another answer of the same voter says.
    func says(the other: AckRes) -> Bool {
        voter == other.signature.publicKey && message.block == other.block && message.appHash == other.appHash
    }

    /// For an answer that this node has signed itself.
    init(own message: AckRes) {
        self.message = message
        proof = nil
    }
}

/// A committed block's header with everything that proves it committed: the leader's signature, and the votes of
/// more than half of the validators for one application hash.
public struct VerifiedCommit: Sendable {
    /// Header, votes and signature as they were announced.
    public let announcement: BlockAnnouncement
    /// The block's header.
    public var header: BlockHeader { announcement.header }
    /// The block's hash.
    public var hash: Hash { announcement.hash }
    /// The block's height.
    public var height: Int64 { announcement.height }
    /// The votes and what the block changes.
    public var info: CommitInfo { announcement.commitInfo }
    /// The application hash after the block.
    public var appHash: Hash { announcement.commitInfo.appHash }

    /// Checks the leader's signature and every vote against the chain before the block. A block made under other
    /// validators or another leader than the state's is `unproven`, which is nobody's fault: its turn comes when
    /// the blocks before it are committed. Costs a signature a vote: make it on a worker.
    public init(
        verifying announcement: BlockAnnouncement, after state: ChainState
    ) throws(ConsensusError) {
        guard state.isBasis(of: announcement.header) else { throw .unproven(height: announcement.height) }
        guard let signer = state.signer(of: announcement.header), announcement.verify(signer) else {
            throw .notSignedByLeader(announcement.hash)
        }
        guard announcement.commitInfo.isCommitted(block: announcement.hash, by: state.validators) else {
            throw .notCommitted(announcement.hash)
        }
        self.announcement = announcement
    }

    /// For what this node's own block log holds, and for the commit that the leader makes itself of votes that it
    /// has checked.
    public init(trusting announcement: BlockAnnouncement) {
        self.announcement = announcement
    }
}

/// A peer's consensus status, as far as its parts prove themselves. Whose it is, the connection says.
public struct VerifiedStatus: Sendable {
    /// What the peer said.
    public let status: ConsensusStatus
    /// Its proposal, if somebody who may propose signed it.
    public let proposal: VerifiedProposal?
    /// Its commit, if that holds against the state it was checked with.
    public let commit: VerifiedCommit?
    /// Whether the leader, which still leads as far as the header tells, signed the header of the height that it claims.
    public let provesHeight: Bool
    /// False for a peer that cannot be asked what it voted for.
    public let tellsVotes: Bool

    /// Checks what is signed in a status; what does not hold is left out. Make it on a worker.
    public init(verifying status: ConsensusStatus, after state: ChainState, signers: [PublicKey]) {
        self.status = status
        proposal = status.proposal.flatMap { proposal in
            signers.lazy.compactMap { try? VerifiedProposal(verifying: proposal, leader: $0) }.first
        }
        commit = status.commit.flatMap { announcement in
            guard announcement.height == state.height &+ 1 else { return nil }
            return try? VerifiedCommit(verifying: announcement, after: state)
        }
        if let best = status.best, best.height == status.height, let leader = state.leader {
            provesHeight =
                commit != nil
                || (state.isBasis(of: best) && leader.verify(status.leaderSignature, of: best.hash))
        } else {
            provesHeight = false
        }
        tellsVotes = true
    }

    /// What is known of a peer that only tells its best height.
    public init(height: Int64) {
        status = ConsensusStatus(
            height: height, phase: .idle, best: nil, leaderSignature: SharedBytes(), vote: nil, proposal: nil,
            follows: nil, commit: nil)
        proposal = nil
        commit = nil
        provesHeight = false
        tellsVotes = false
    }
}

/// A reset that the leader sent. The gossip layer has checked the author's signature; this checks who that is.
public struct VerifiedReset: Sendable {
    /// What the leader sent.
    public let reset: ConsensusReset

    /// Checks that the author is the leader.
    public init(_ reset: ConsensusReset, author: PublicKey, leader: PublicKey) throws(ConsensusError) {
        guard author == leader else {
            throw .mismatch("a reset from \(author.nodeID), which is not the leader")
        }
        self.reset = reset
    }
}

/// The leader's word about the stamp of a proposal. The gossip layer has checked the author's signature; this checks who that
/// is.
public struct VerifiedStamp: Sendable {
    /// What the leader said.
    public let stamp: ProposalStamp

    /// Checks that the author is the leader.
    public init(_ stamp: ProposalStamp, author: PublicKey, leader: PublicKey) throws(ConsensusError) {
        guard author == leader else {
            throw .mismatch("a stamp from \(author.nodeID), which is not the leader")
        }
        self.stamp = stamp
    }
}
