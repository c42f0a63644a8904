import Chain
import Crypto
import Multiformats

/// An operator's order to follow another leader from `height` on, because the present one is gone for good
/// (docs/consensus.md, "A new leader"). Void once the chain has changed its leader at that height or later.
public struct Promotion: Sendable, Hashable {
    /// The validator that is to lead.
    public let leader: PublicKey
    /// The first height that it may propose.
    public let height: Int64

    /// Creates a promotion of `leader` from `height` on.
    public init(leader: PublicKey, height: Int64) {
        self.leader = leader
        self.height = height
    }

    /// Returns whether the promotion decides who may propose the block after `state`.
    func applies(to state: ChainState) -> Bool {
        state.height &+ 1 >= height && state.leaderSince < height && state.leader != leader
            && state.validators.contains(leader)
    }

    /// Returns the promoted leader, if it may propose the block after `state`.
    func candidate(after state: ChainState) -> PublicKey? { applies(to: state) ? leader : nil }
}

/// The leader of the next height.
extension ConsensusMachine {
    /// The validator that this node's operator promotes, while the promotion applies.
    var candidate: PublicKey? { settings.promotion?.candidate(after: state) }

    /// The validator whose proposals this node follows at the next height: the chain's leader, or the promoted one.
    var proposer: PublicKey? { candidate ?? state.leader }
}
