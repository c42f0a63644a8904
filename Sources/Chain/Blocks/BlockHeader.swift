import Bytes
import Crypto

/// A block's header, whose hash is the block's (docs/wire.md, section 4).
public struct BlockHeader: Hashable, Sendable, WireDecodable {
    /// The block's height; 1 for the first block of a chain with `initial_height` 0.
    public var height: Int64
    /// The number of transactions in the block.
    public var transactionCount: UInt32
    /// The hash of the previous block; zeros before the first.
    public var previousHash: Hash
    /// The application hash after the previous block.
    public var previousAppHash: Hash
    /// The hash of the validators that vote on this block.
    public var validatorSetHash: Hash
    /// The hash of the network parameters in force.
    public var networkParametersHash: Hash
    /// Milliseconds since 1970 by the leader's clock.
    public var timestamp: UInt64
    /// The Merkle root over the txids.
    public var merkleRoot: Hash
    /// The leader from the next block on, if it changes.
    public var newLeader: PublicKey?

    /// Creates a header from its parts.
    public init(
        height: Int64, transactionCount: UInt32, previousHash: Hash, previousAppHash: Hash,
        validatorSetHash: Hash, networkParametersHash: Hash, timestamp: UInt64, merkleRoot: Hash,
        newLeader: PublicKey? = nil
    ) {
        self.height = height
        self.transactionCount = transactionCount
        self.previousHash = previousHash
        self.previousAppHash = previousAppHash
        self.validatorSetHash = validatorSetHash
        self.networkParametersHash = networkParametersHash
        self.timestamp = timestamp
        self.merkleRoot = merkleRoot
        self.newLeader = newLeader
    }

    package static let kind = "block header"

    package init(from reader: inout ByteReader) throws(BytesError) {
        try reader.version()
        height = try reader.height()
        transactionCount = try reader.u32()
        previousHash = try reader.hash()
        previousAppHash = try reader.hash()
        validatorSetHash = try reader.hash()
        networkParametersHash = try reader.hash()
        timestamp = try reader.u64()
        merkleRoot = try reader.hash()
        newLeader = try reader.flag() ? try decodedKey(wire: reader.cbytes().array) : nil
    }

    /// The header's bytes.
    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 192)
        writer.put(u16: 0)
        writer.put(i64: height)
        writer.put(u32: transactionCount)
        writer.put(hash: previousHash)
        writer.put(hash: previousAppHash)
        writer.put(hash: validatorSetHash)
        writer.put(hash: networkParametersHash)
        writer.put(u64: timestamp)
        writer.put(hash: merkleRoot)
        if let newLeader {
            writer.put(u8: 1)
            writer.put(cbytes: newLeader.wire)
        } else {
            writer.put(u8: 0)
        }
        return writer.bytes
    }

    /// The block's hash: SHA-256 of the header's bytes.
    public var hash: Hash { Hash.sha256(of: bytes) }
}
