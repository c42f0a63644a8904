import Chain
import Crypto
import Multiformats
import Reactor

/// The answer to a peer that announces a block.
public enum Admission: Sendable, Equatable {
    /// The block is not wanted, now or from this peer.
    case ignore
    /// Fetch the block from the peer.
    case fetch
    /// Ask others first, because this peer has let the node down. If they fail, `proposalFetchFailed` decides.
    case askOthersFirst
}

/// The block to fetch from a peer that reported its status.
public enum StatusAdmission: Sendable {
    case nothing
    case proposal(BlockProposal)
    case commit(VerifiedCommit)
}

/// The machine's decisions on blocks that peers announce.
extension ConsensusMachine {
    /// `peer` announced a proposal. A fetch ends with `proposalFetched`, `proposalInvalid` or `proposalFetchFailed`.
    public mutating func admit(
        _ proposal: VerifiedProposal, from peer: PeerID, at now: Instant, actions: inout [ConsensusAction]
    ) -> Admission {
        step(at: now, &actions, ifHalted: .ignore) { $0.proposed(proposal, peer, $1, &$2) }
    }

    /// `peer` announced a committed block whose votes the current validator set can verify. A fetch ends with
    /// `decided` or `decidedFetchFailed`.
    public mutating func admit(
        _ commit: VerifiedCommit, from peer: PeerID, at now: Instant, actions: inout [ConsensusAction]
    ) -> Admission {
        step(at: now, &actions, ifHalted: .ignore) { $0.announced(commit, peer, $1, &$2) }
    }

    /// A peer answered `askStatus`. A fetch ends as that of an announced proposal or commit does.
    public mutating func admit(
        _ status: VerifiedStatus, from peer: PeerID, at now: Instant, actions: inout [ConsensusAction]
    ) -> StatusAdmission {
        step(at: now, &actions, ifHalted: .nothing) { $0.statusReceived(status, peer, $1, &$2) }
    }

    /// Fetching the block of a proposal that `peer` announced failed. Returns whether to fetch it from the peer after all.
    public mutating func proposalFetchFailed(
        _ block: Hash, from peer: PeerID, at now: Instant, actions: inout [ConsensusAction]
    ) -> Admission {
        step(at: now, &actions, ifHalted: .ignore) { $0.proposalFetchFailed(block, peer, $1, &$2) }
    }
}
