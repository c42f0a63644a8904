import Bytes
import Crypto

/// The leader's statement that it proposes a block under a stamp other than the block's timestamp
/// (docs/consensus.md, "Time").
public struct ProposalStamp: Hashable, Sendable, WireDecodable {
    /// The block's height.
    public let height: Int64
    /// The proposed block.
    public let block: Hash
    /// The stamp of the proposal.
    public let stamp: Int64

    /// Creates a statement from its parts.
    public init(height: Int64, block: Hash, stamp: Int64) {
        self.height = height
        self.block = block
        self.stamp = stamp
    }

    package static let kind = "proposal stamp"

    package init(from reader: inout ByteReader) throws(BytesError) {
        height = try reader.height()
        block = try reader.hash()
        stamp = try reader.i64()
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
