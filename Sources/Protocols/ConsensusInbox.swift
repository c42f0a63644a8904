import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// What the node says to a proposal or an announcement.
public enum ConsensusVerdict: Sendable, Equatable {
    /// Ask the peer for the block, which `received` or `failed` tells of.
    case fetch
    /// Ask the peer for the block only to see whether it sends any of it, which `tested` tells of: another sends it whole.
    case test
    /// The block is not wanted, now or from this peer.
    case ignore
    /// A signature in it is wrong: the peer broke the protocol, and the node has seen to it.
    case forged
}

/// What the consensus protocols need from the node, which alone knows whose signatures count at a height. It checks
/// them before anything else is done about a message.
@ReactorActor
public protocol ConsensusInbox: AnyObject {
    /// How large the next block may be.
    var blockSizes: BlockSizes { get }

    /// Whether a proposal is worth checking its signature: this node is a validator that awaits this height.
    func mayWant(_ proposal: BlockProposal, from peer: PeerID) -> Bool
    /// A proposal, nothing of it checked.
    func proposed(_ proposal: BlockProposal, from peer: PeerID) async -> ConsensusVerdict
    /// The proposal's peer is being asked for the block on its stream: until `received` or `failed`.
    func fetching(_ proposal: BlockProposal, on stream: Stream)
    /// The proposed block, decoded, of the proposal's hash and height.
    func received(_ block: Block, for proposal: BlockProposal, from peer: PeerID) async
    /// The proposed block did not come, or another one.
    func failed(_ proposal: BlockProposal, _ error: ProtocolsError, from peer: PeerID)

    /// Whether a committed block is worth checking its signatures: it is new to this node.
    func mayWant(_ announcement: BlockAnnouncement, from peer: PeerID) -> Bool
    /// A committed block's announcement, nothing of it checked.
    func announced(_ announcement: BlockAnnouncement, from peer: PeerID) async -> ConsensusVerdict
    /// The announcement's peer is being asked for the block on its stream: until `received` or `failed`.
    func fetching(_ announcement: BlockAnnouncement, on stream: Stream)
    /// The announced block, decoded, of the announcement's hash and height.
    func received(_ block: Block, for announcement: BlockAnnouncement, from peer: PeerID) async
    /// The announced block did not come, or another one.
    func failed(_ announcement: BlockAnnouncement, _ error: ProtocolsError, from peer: PeerID)
    /// Whether a peer that was tested sent anything of the block.
    func tested(_ announcement: BlockAnnouncement, hasSent: Bool, from peer: PeerID)
    /// A peer says, unsigned, that it has a block of this height: a reason to ask, never to believe.
    func hinted(height: Int64, hash: Hash, from peer: PeerID)

    /// Whether an answer is worth checking its signature: this node leads, and the voter is a validator.
    func mayWant(_ answer: AckRes) -> Bool
    /// An answer to a proposal, nothing of it checked. False if its voter did not sign it.
    func acknowledged(_ answer: AckRes, from peer: PeerID) async -> Bool
}
