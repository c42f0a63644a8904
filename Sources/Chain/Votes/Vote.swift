import Bytes
import Crypto

/// A validator's vote on a proposed block, as it records the vote on disk.
public struct Vote: Hashable, Sendable, CustomStringConvertible {
    /// The validator's decision.
    public enum Decision: Hashable, Sendable {
        /// The block is valid and executes with this application hash.
        case ack(appHash: Hash)
        /// The block was rejected.
        case nack
    }

    /// The proposed block's height, at least 1.
    public var height: Int64
    /// The proposal's stamp: milliseconds since 1970 by the leader's clock.
    public var stamp: Int64
    /// The hash of the proposed block.
    public var blockHash: Hash
    /// The decision.
    public var decision: Decision

    /// Creates a vote from its parts.
    public init(height: Int64, stamp: Int64, blockHash: Hash, decision: Decision) {
        self.height = height
        self.stamp = stamp
        self.blockHash = blockHash
        self.decision = decision
    }

    /// A description for logs.
    public var description: String {
        switch decision {
        case .ack(let appHash): "ack of block \(blockHash) at height \(height), application hash \(appHash)"
        case .nack: "nack of block \(blockHash) at height \(height)"
        }
    }
}
