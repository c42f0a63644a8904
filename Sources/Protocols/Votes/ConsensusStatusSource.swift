import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// What the protocols with which nodes ask each other about consensus need from the node.
@ReactorActor
public protocol ConsensusStatusSource: AnyObject {
    /// What this node knows, with the commit of `height` if that is its newest block's.
    func status(of height: Int64) async throws(ProtocolsError) -> ConsensusStatus
    /// The bytes of a block above the newest one that is proposed, or that this node has voted for.
    func proposedBlock(height: Int64, hash: Hash) async -> SharedBytes?
    /// Handles a validator's word that it has committed a block, nothing of it checked. Throws if the validator did not sign it.
    func committed(_ message: CommitDone, from peer: PeerID) async throws(ProtocolsError)
}
