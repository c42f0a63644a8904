import Chain
import Crypto
import Multiformats

/// The part of consensus that other services read. The machine publishes it whenever it changes.
public struct ConsensusView: Sendable {
    /// This node's role at the next height.
    public let role: RoleName
    /// The chain after the newest committed block.
    public let state: ChainState
    /// The validator whose proposals this node follows at the next height: the chain's leader, or the one that its
    /// operator promotes.
    public let proposer: PublicKey?
    /// Whether this node is provably behind and syncing.
    public let isSyncing: Bool
    /// Whether the machine knows of transactions for a block. It forgets them when none fits.
    public let hasTransactions: Bool
    /// Why the wall clock of this node or of the leader is in doubt, in one line; nil if neither is.
    public let clockDoubt: String?

    /// Returns the keys that may have signed a proposal from `peer`. Only a promoted leader may send a proposal of
    /// the former leader, because it may have to propose that block again.
    public func signers(ofProposalsFrom peer: PeerID) -> [PublicKey] {
        guard let proposer else { return [] }
        guard let leader = state.leader, leader != proposer, proposer.peerID == peer else {
            return [proposer]
        }
        return [proposer, leader]
    }

    /// Returns whether this state can verify the votes on a header at the tip or at one of the next two heights.
    public func canProve(_ header: BlockHeader) -> Bool {
        header.height >= state.height && header.height <= state.height &+ 2 && state.isBasis(of: header)
    }

    /// Returns whether both views are equal.
    func says(the other: ConsensusView) -> Bool {
        role == other.role && state.height == other.state.height && state.hash == other.state.hash
            && isSyncing == other.isSyncing && hasTransactions == other.hasTransactions
            && clockDoubt == other.clockDoubt
    }
}

extension ConsensusMachine {
    /// The part of the machine's state that other services read.
    public var view: ConsensusView {
        ConsensusView(
            role: role.name, state: state, proposer: proposer, isSyncing: heights.isSyncing,
            hasTransactions: hasTransactions, clockDoubt: doubt?.reason)
    }
}
