import Chain
import Crypto
import Multiformats

/// What everybody else may read of consensus: a small value that the machine publishes whenever it changes.
public struct ConsensusView: Sendable {
    /// What this node is at the next height.
    public let role: RoleName
    /// The chain after the newest committed block.
    public let state: ChainState
    /// Whose proposals this node follows at the next height: the chain's leader, or the one its operator promotes.
    public let proposer: PublicKey?
    /// Whether this node is behind, by what is proven, and catches up.
    public let isSyncing: Bool
    /// What is said against the wall clock of this node, or of the leader, at present; one line.
    public let clockDoubt: String?

    /// Who may have signed a proposal that `peer` brings. A promoted leader may have to propose again what the old
    /// one had proposed; nobody else may bring that.
    public func signers(ofProposalsFrom peer: PeerID) -> [PublicKey] {
        guard let proposer else { return [] }
        guard let leader = state.leader, leader != proposer, proposer.peerID == peer else {
            return [proposer]
        }
        return [proposer, leader]
    }

    /// Whether the votes of an announcement of one of the next heights can be checked against this state.
    public func canProve(_ header: BlockHeader) -> Bool {
        header.height >= state.height && header.height <= state.height &+ 2 && state.isBasis(of: header)
    }

    /// Whether another view says the same.
    func says(the other: ConsensusView) -> Bool {
        role == other.role && state.height == other.state.height && state.hash == other.state.hash
            && isSyncing == other.isSyncing && clockDoubt == other.clockDoubt
    }
}

extension ConsensusMachine {
    /// What others may read of it.
    public var view: ConsensusView {
        ConsensusView(
            role: role.name, state: state, proposer: proposer, isSyncing: heights.isSyncing,
            clockDoubt: doubt?.reason)
    }
}
