import Chain
import Crypto
import Multiformats
import Reactor

/// What is to be done about a block that a peer has announced.
public enum Admission: Sendable, Equatable {
    /// It is not wanted, now or from this peer.
    case ignore
    /// It is fetched from the peer.
    case fetch
    /// It is asked of others before this peer, which has let the node down. When they fail, `proposalFetchFailed` says what
    /// follows.
    case askOthersFirst
}

/// Which block to fetch from a peer on account of its status.
public enum StatusAdmission: Sendable {
    case nothing
    case proposal(BlockProposal)
    case commit(VerifiedCommit)
}

/// Questions that peers' messages put to the machine: is the block wanted?
extension ConsensusMachine {
    /// `peer` announced a proposal. A block that is fetched leads to `proposalFetched`, `proposalInvalid` or the question
    /// `proposalFetchFailed`.
    public mutating func admit(
        _ proposal: VerifiedProposal, from peer: PeerID, at now: Instant, actions: inout [ConsensusAction]
    ) -> Admission {
        step(at: now, &actions, ifHalted: .ignore) { machine, now, actions in
            machine.proposed(proposal, peer, now, &actions)
        }
    }

    /// `peer` announced a committed block of a height that the machine's state can prove. A block that is fetched leads to
    /// `decided` or `decidedFetchFailed`.
    public mutating func admit(
        _ commit: VerifiedCommit, from peer: PeerID, at now: Instant, actions: inout [ConsensusAction]
    ) -> Admission {
        step(at: now, &actions, ifHalted: .ignore) { machine, now, actions in
            machine.announced(commit, peer, now, &actions)
        }
    }

    /// A peer answered `askStatus`. A block that is fetched leads to what the admission of its proposal or commit leads to.
    public mutating func admit(
        _ status: VerifiedStatus, from peer: PeerID, at now: Instant, actions: inout [ConsensusAction]
    ) -> StatusAdmission {
        step(at: now, &actions, ifHalted: .nothing) { machine, now, actions in
            machine.statusReceived(status, peer, now, &actions)
        }
    }

    /// The block of a proposal that `peer` announced did not come, or was not the one that was proposed: whether to fetch it
    /// from the peer after all.
    public mutating func proposalFetchFailed(
        _ block: Hash, from peer: PeerID, at now: Instant, actions: inout [ConsensusAction]
    ) -> Admission {
        step(at: now, &actions, ifHalted: .ignore) { machine, now, actions in
            machine.proposalFetchFailed(block, peer, now, &actions)
        }
    }
}
