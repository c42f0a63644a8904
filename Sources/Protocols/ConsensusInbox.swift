import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// What the consensus protocols need from the node, which alone knows whose signatures count at a height. It checks
/// them before anything else is done about a message. What the functions throw is what the peer did wrong.
@ReactorActor
public protocol ConsensusInbox: AnyObject {
    /// How large the next block may be.
    var blockSizes: BlockSizes { get }

    /// A proposal, nothing of it checked. Takes the block from the offer if it is wanted.
    func proposed(_ proposal: BlockProposal, _ offer: BlockOffer) async throws(ProtocolsError)
    /// A committed block's announcement, nothing of it checked. Takes the block from the offer if it is wanted.
    func announced(_ announcement: BlockAnnouncement, _ offer: BlockOffer) async throws(ProtocolsError)
    /// A peer says, unsigned, that it has a block of this height: a reason to ask, never to believe.
    func hinted(height: Int64, hash: Hash, from peer: PeerID) async
    /// An answer to a proposal, nothing of it checked.
    func acknowledged(_ answer: AckRes, from peer: PeerID) async throws(ProtocolsError)
}
