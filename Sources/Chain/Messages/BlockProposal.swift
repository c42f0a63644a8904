import Bytes
import Crypto

/// The leader's announcement of a proposed block: the message of `/kwil/blkprop/1.0.0` (docs/wire.md, section 7).
public struct BlockProposal: Hashable, Sendable, WireDecodable {
    /// The proposed height.
    public let height: Int64
    /// The hash of the proposed block.
    public let hash: Hash
    /// The hash of the previous block.
    public let previousHash: Hash
    /// Milliseconds since 1970 by the leader's clock.
    public let stamp: Int64
    /// The leader's signature over `hash`.
    public let leaderSignature: SharedBytes
    /// The sender's public key, without its type.
    public let senderKey: SharedBytes

    /// The size of the largest message, in bytes: fixed fields, a 65-byte signature, a 33-byte key.
    public static let maxBytes = 8 + 32 + 32 + 8 + 8 + 65 + 8 + 33

    /// Creates a proposal from its parts.
    public init(
        height: Int64, hash: Hash, previousHash: Hash, stamp: Int64, leaderSignature: SharedBytes,
        senderKey: SharedBytes
    ) {
        self.height = height
        self.hash = hash
        self.previousHash = previousHash
        self.stamp = stamp
        self.leaderSignature = leaderSignature
        self.senderKey = senderKey
    }

    /// Creates the announcement of a signed block. `stamp` is the block's own timestamp unless the leader
    /// proposes it again.
    public init(_ block: Block, sender: PublicKey, stamp: Int64? = nil) {
        self.init(
            height: block.height, hash: block.hash, previousHash: block.header.previousHash,
            stamp: stamp ?? Int64(clamping: block.header.timestamp), leaderSignature: block.signature,
            senderKey: SharedBytes(sender.bytes))
    }

    /// Returns whether the leader signed the proposed block's hash.
    public func verify(_ leader: PublicKey) -> Bool {
        leader.verify(leaderSignature, of: hash)
    }

    package static let kind = "block proposal"

    package init(from reader: inout ByteReader) throws(BytesError) {
        height = try reader.height()
        hash = try reader.hash()
        previousHash = try reader.hash()
        stamp = try reader.i64()
        leaderSignature = try Self.field(from: &reader)
        senderKey = try Self.field(from: &reader)
    }

    private static func field(from reader: inout ByteReader) throws(BytesError) -> SharedBytes {
        let count = try reader.u64()
        guard count <= 65 else { throw .tooLarge(Int(clamping: count), limit: 65) }
        return try reader.bytes(count)
    }

    /// i64 height, hash, previous hash, i64 stamp, u64 length and signature, u64 length and sender's key.
    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: Self.maxBytes)
        writer.put(i64: height)
        writer.put(hash: hash)
        writer.put(hash: previousHash)
        writer.put(i64: stamp)
        writer.put(u64: UInt64(leaderSignature.count))
        writer.put(bytes: leaderSignature)
        writer.put(u64: UInt64(senderKey.count))
        writer.put(bytes: senderKey)
        return writer.bytes
    }
}
