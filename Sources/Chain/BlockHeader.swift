import Bytes
import Crypto

/// What a block's hash is over (docs/wire.md, section 4).
public struct BlockHeader: Hashable, Sendable {
    /// 1 for the first block of a chain with `initial_height` 0.
    public var height: Int64
    /// Transactions in the block.
    public var transactionCount: UInt32
    /// Hash of the block before; zeros before the first.
    public var previousHash: Hash
    /// Application hash after the block before.
    public var previousAppHash: Hash
    /// Hash of the validators that vote on this block.
    public var validatorSetHash: Hash
    /// Hash of the network parameters in force.
    public var networkParametersHash: Hash
    /// Milliseconds since 1970 by the leader's clock.
    public var timestamp: UInt64
    /// Root over the txids.
    public var merkleRoot: Hash
    /// The leader from the next block on, if that changes.
    public var newLeader: PublicKey?

    /// A header by its parts.
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

    /// Decodes a header; refuses trailing bytes and unknown versions.
    public init(decoding bytes: SharedBytes) throws(ChainError) {
        self = try decodeWhole("block header", bytes) { reader throws(BytesError) in
            try BlockHeader(from: &reader)
        }
    }

    init(from reader: inout ByteReader) throws(BytesError) {
        try reader.version()
        height = try reader.i64()
        guard height >= 0 else { throw .invalid("a height") }
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
