import Bytes
import Chain
import Crypto

/// A block proposal with a valid signature of the leader. The only way to create one is to check it, so nothing
/// unsigned reaches `ConsensusMachine`. The check verifies one signature: create it on a worker.
public struct VerifiedProposal: Sendable {
    /// The signed proposal.
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

/// A validator's answer to a proposal, with a valid signature.
public struct VerifiedAcknowledgement: Sendable {
    /// The signed answer.
    public let message: AckRes
    /// The header that an out-of-sync answer carries, if the leader signed it. Another signature proves nothing, but
    /// may be that of a later leader.
    public let proof: BlockHeader?
    /// The key of the voter.
    public var voter: PublicKey { message.signature.publicKey }

    /// Checks the vote's signature, and the leader's on the header in an out-of-sync answer.
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

    /// Returns whether another answer of the same voter has the same content.
    func says(the other: AckRes) -> Bool {
        voter == other.signature.publicKey && message.block == other.block && message.appHash == other.appHash
    }

    /// Creates an answer that this node has signed itself.
    init(own message: AckRes) {
        self.message = message
        proof = nil
    }
}

/// A committed block's header with the proof of its commit: the leader's signature, and the votes of more than half
/// of the validators for one app hash.
public struct VerifiedCommit: Sendable {
    /// The header, votes and signature as they were announced.
    public let announcement: BlockAnnouncement
    /// The block's header.
    public var header: BlockHeader { announcement.header }
    /// The block's hash.
    public var hash: Hash { announcement.hash }
    /// The block's height.
    public var height: Int64 { announcement.height }
    /// The votes and the block's updates.
    public var info: CommitInfo { announcement.commitInfo }
    /// The app hash after the block.
    public var appHash: Hash { announcement.commitInfo.appHash }

    /// Checks the leader's signature and every vote against the chain before the block. Throws `unproven` for a block
    /// made under validators or a leader other than the state's, which is nobody's fault: it can be checked once the
    /// blocks before it are committed. Verifies one signature per vote: create it on a worker.
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

    /// Creates a commit from this node's own block log, or from votes that this node, as the leader, has checked.
    public init(trusting announcement: BlockAnnouncement) {
        self.announcement = announcement
    }
}

/// A peer's consensus status, with those of its parts that are proven. The connection identifies the peer.
public struct VerifiedStatus: Sendable {
    /// The status as received.
    public let status: ConsensusStatus
    /// The proposal, if a key that may propose signed it.
    public let proposal: VerifiedProposal?
    /// The commit, if it is valid against the state it was checked with.
    public let commit: VerifiedCommit?
    /// Whether the height that the peer claims is proven: by the commit, or by a header that the current leader
    /// signed under the current validators and parameters.
    public let provesHeight: Bool
    /// Whether the peer reports its votes; false for a peer that only reports its height.
    public let tellsVotes: Bool

    /// Checks the signatures in a status and drops parts with invalid ones. Create it on a worker.
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

    /// Creates the status of a peer that only reports its best height.
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

/// The leader's message by gossip. The gossip layer has checked the author's signature; this checks that the author
/// is the leader.
public struct LeaderMessage<Message: Sendable>: Sendable {
    /// The message.
    public let message: Message

    /// Checks that the author is the leader.
    public init(_ message: Message, author: PublicKey, leader: PublicKey) throws(ConsensusError) {
        guard author == leader else {
            throw .mismatch("a message from \(author.nodeID), which is not the leader")
        }
        self.message = message
    }
}
