import Chain
import Crypto
import Multiformats

/// The part of consensus that other services read. The machine publishes it whenever it changes.
public struct ConsensusView: Sendable {
    /// This node's role at the next height.
    public let role: RoleName
    /// The chain after the newest committed block.
    public let state: ChainState
    /// Whose proposals this node follows at the next height: the chain's leader, or the validator that its operator promotes.
    public let proposer: PublicKey?
    /// Whether this node is provably behind and syncing.
    public let isSyncing: Bool
    /// Whether the machine knows of transactions for a block. It forgets them when none fits.
    public let hasTransactions: Bool
    /// Why the wall clock of this node or of the leader is in doubt, in one line; nil if neither is.
    public let clockDoubt: String?

    /// Whose signature may be on a proposal from `peer`. Only a promoted leader may send a proposal of the former leader,
    /// because it may have to propose that block again.
    public func signers(ofProposalsFrom peer: PeerID) -> [PublicKey] {
        guard let proposer else { return [] }
        guard let leader = state.leader, leader != proposer, proposer.peerID == peer else {
            return [proposer]
        }
        return [proposer, leader]
    }

    /// Whether this state can verify the votes on a header, which is that of the tip or of one of the next two heights.
    public func canProve(_ header: BlockHeader) -> Bool {
        header.height >= state.height && header.height <= state.height &+ 2 && state.isBasis(of: header)
    }

    /// Whether both views say the same.
    func says(the other: ConsensusView) -> Bool {
        role == other.role && state.height == other.state.height && state.hash == other.state.hash
            && isSyncing == other.isSyncing && hasTransactions == other.hasTransactions
            && clockDoubt == other.clockDoubt
    }
}

extension ConsensusMachine {
    /// What other services read of the machine.
    public var view: ConsensusView {
        ConsensusView(
            role: role.name, state: state, proposer: proposer, isSyncing: heights.isSyncing,
            hasTransactions: hasTransactions, clockDoubt: doubt?.reason)
    }
}
