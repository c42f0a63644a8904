import Bytes
import Crypto

/// The leader's word that it proposes a block under a stamp that is not the block's time (docs/consensus.md, "Time").
public struct ProposalStamp: Hashable, Sendable {
    /// The block's height.
    public let height: Int64
    /// The proposed block.
    public let block: Hash
    /// The stamp of the proposal.
    public let stamp: Int64

    /// The word by its parts.
    public init(height: Int64, block: Hash, stamp: Int64) {
        self.height = height
        self.block = block
        self.stamp = stamp
    }

    /// Decodes it; refuses trailing bytes.
    public init(decoding bytes: SharedBytes) throws(ChainError) {
        self = try decodeWhole("proposal stamp", bytes) { reader throws(BytesError) in
            let height = try reader.i64()
            guard height >= 0 else { throw .invalid("a height") }
            return ProposalStamp(height: height, block: try reader.hash(), stamp: try reader.i64())
        }
    }

    /// i64 height, hash, i64 stamp.
    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 16 + Hash.count)
        writer.put(i64: height)
        writer.put(hash: block)
        writer.put(i64: stamp)
        return writer.bytes
    }
}
