import Bytes
import Crypto

/// A validator's vote on a proposed block, as its own memory of it needs it.
public struct Vote: Hashable, Sendable, CustomStringConvertible {
    /// What the validator said.
    public enum Decision: Hashable, Sendable {
        /// The block is good; executing it gave this application hash.
        case ack(appHash: Hash)
        /// The block was refused.
        case nack
    }

    /// The proposed block's height, at least 1.
    public var height: Int64
    /// The proposal's stamp: milliseconds since 1970 by the leader's clock.
    public var stamp: Int64
    /// The proposed block.
    public var blockHash: Hash
    /// What was said.
    public var decision: Decision

    /// A vote by its parts.
    public init(height: Int64, stamp: Int64, blockHash: Hash, decision: Decision) {
        self.height = height
        self.stamp = stamp
        self.blockHash = blockHash
        self.decision = decision
    }

    /// For logs.
    public var description: String {
        switch decision {
        case .ack(let appHash): "ack of block \(blockHash) at height \(height), application hash \(appHash)"
        case .nack: "nack of block \(blockHash) at height \(height)"
        }
    }
}
