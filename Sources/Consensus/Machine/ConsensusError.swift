import Chain
import Crypto

/// An error for which consensus refuses a message or stops.
public enum ConsensusError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The signature is not the leader's.
    case notSignedByLeader(Hash)
    /// A vote is not signed by the key that it names.
    case badVoteSignature(PublicKey)
    /// The votes with a block do not show that more than half of the validators agreed.
    case notCommitted(Hash)
    /// A block was made under validators or a leader that this node does not know yet.
    case unproven(height: Int64)
    /// A block does not fit the chain that it should extend.
    case invalidBlock(height: Int64, reason: String)
    /// A block's time is ahead of this node's clock, in milliseconds.
    case tooEarly(height: Int64, by: UInt64)
    /// A message contradicts its block.
    case mismatch(String)
    /// This node's app hash differs from the one that the network committed.
    case applicationHashDiffers(height: Int64, own: Hash, committed: Hash)
    /// The network committed a block that does not extend this node's chain.
    case forked(height: Int64, own: Hash, committed: Hash)
    /// Another host has voted with this node's key.
    case keyUsedElsewhere(height: Int64, block: Hash)
    /// Another host runs with this node's key and has answered in this node's name.
    case keyHeldElsewhere(PublicKey)
    /// Execution, storage or recording failed.
    case driver(String)

    /// A one-line description.
    public var description: String {
        switch self {
        case .notSignedByLeader(let hash): "block \(hash) is not signed by the leader"
        case .badVoteSignature(let key): "the signature of a vote by \(key.nodeID) is invalid"
        case .notCommitted(let hash):
            "block \(hash) lacks valid votes of more than half of the validators"
        case .unproven(let height):
            "block \(height) was made under other validators, parameters or another leader"
        case .invalidBlock(let height, let reason): "block \(height): \(reason)"
        case .tooEarly(let height, let milliseconds):
            "block \(height): its time is \(milliseconds / 1000) s ahead of this node's clock: either this clock is behind or the leader's is ahead"
        case .mismatch(let what): what
        case .applicationHashDiffers(let height, let own, let committed):
            "block \(height): own app hash \(own) differs from the committed \(committed)"
        case .forked(let height, let own, let committed):
            "block \(height): the network's previous block is \(committed), this node's is \(own)"
        case .keyUsedElsewhere(let height, let block):
            "another host votes with this node's key: a vote on block \(block) at height \(height) was not given here; run one host for each key"
        case .keyHeldElsewhere(let key):
            "another host votes with this node's key, \(key.nodeID): both are running, and it has answered this one; run one host for each key, and give the other a key of its own"
        case .driver(let what): what
        }
    }
}
