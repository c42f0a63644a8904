import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// What the consensus protocols need from the node. Only the node knows whose signatures count at a height, so it checks them
/// before it does anything else with a message. The functions throw what the peer did wrong.
@ReactorActor
public protocol ConsensusInbox: AnyObject {
    /// The size limits of the next block.
    var blockSizes: BlockSizes { get }
    /// The proposed blocks whose transactions this node passes on.
    var arrivingBlocks: ArrivingBlocks { get }

    /// Handles a proposal, nothing of it checked, and takes the block from the offer if it is wanted.
    func proposed(_ proposal: BlockProposal, _ offer: BlockOffer) async throws(ProtocolsError)
    /// Does the same with a compact proposal.
    func proposed(_ proposal: BlockProposal, _ offer: CompactOffer) async throws(ProtocolsError)
    /// Whether a peer may vote on the next block.
    func isValidator(_ peer: PeerID) -> Bool
    /// Returns the validators that vote on a block, to ask them for transactions that its leader sends only once. Nil if the peer
    /// is not the leader, this node not one of the validators, or the validators unknown here.
    func keepers(of header: BlockHeader, proposedBy peer: PeerID) -> BlockKeepers?
    /// Adds what a proposed block lacks and this node has among its unconfirmed transactions, whose signatures it has checked.
    func supply(_ assembly: BlockAssembly) async -> BlockAssembly
    /// Runs, off the reactor, a job that hashes or decodes a proposed block.
    func compute<T: Sendable>(_ job: @escaping @Sendable () throws -> T) async throws -> T
    /// Handles the announcement of a committed block, nothing of it checked, and takes the block from the offer if it is
    /// wanted.
    func announced(_ announcement: BlockAnnouncement, _ offer: BlockOffer) async throws(ProtocolsError)
    /// Handles an unsigned claim that the peer has a block of this height, which is only a reason to ask the peer.
    func hinted(height: Int64, hash: Hash, from peer: PeerID) async
    /// Handles an answer to a proposal, nothing of it checked.
    func acknowledged(_ answer: AckRes, from peer: PeerID) async throws(ProtocolsError)
}
