import Bytes
import Crypto

/// A signed block: a decoded header, and transactions that are slices of the block's bytes (docs/wire.md,
/// section 4).
///
/// Decoding parses no transaction and copies nothing. Immutable; may be read from any thread.
public struct Block: Hashable, Sendable {
    /// The header, whose hash is the block's.
    public let header: BlockHeader
    /// The leader's signature over the block's hash; empty until signed.
    public let signature: SharedBytes
    /// The bytes of each transaction.
    public let transactions: [SharedBytes]
    /// The whole block, as sent and stored.
    public let bytes: SharedBytes
    /// SHA-256 of the header's bytes.
    public let hash: Hash

    /// The block's height.
    public var height: Int64 { header.height }

    /// Creates a block from its parts. The header must state the number of `transactions`.
    public init(header: BlockHeader, signature: [UInt8], transactions: [SharedBytes]) {
        precondition(Int(header.transactionCount) == transactions.count)
        let headerBytes = header.bytes
        let size = transactions.reduce(headerBytes.count + signature.count + 10) { $0 + $1.count + 10 }
        var writer = ByteWriter(capacity: size)
        writer.put(bytes: headerBytes)
        writer.put(lengthPrefixed: signature)
        for transaction in transactions { writer.put(lengthPrefixed: transaction) }
        self.header = header
        self.signature = SharedBytes(signature)
        self.transactions = transactions
        bytes = SharedBytes(writer.bytes)
        hash = Hash.sha256(of: headerBytes)
    }

    /// Creates and signs the leader's block. Sets the header's transaction count and Merkle root.
    public static func signed(
        _ header: BlockHeader, transactions: [Transaction], by leader: PrivateKey
    ) -> Block {
        var header = header
        header.transactionCount = UInt32(clamping: transactions.count)
        header.merkleRoot = MerkleTree.root(of: transactions.map(\.id))
        return Block(
            header: header, signature: leader.sign(header.hash), transactions: transactions.map(\.bytes))
    }

    /// Decodes a block. Rejects trailing bytes, unknown versions and a transaction count that the bytes
    /// cannot hold. Checks neither the signature nor the Merkle root (`HashedBlock`).
    public init(decoding bytes: SharedBytes, limit: Int = ChainLimits.blockBytes) throws(ChainError) {
        guard bytes.count <= limit else { throw .tooLarge("block", count: bytes.count, limit: limit) }
        var reader = ByteReader(bytes)
        do throws(BytesError) {
            header = try BlockHeader(from: &reader)
            hash = Hash.sha256(of: bytes.slice(0..<reader.offset))
            signature = try reader.lengthPrefixed()
            transactions = try reader.list(
                header.transactionCount, least: ChainLimits.leastTransactionBytes
            ) { reader throws(BytesError) in try reader.lengthPrefixed() }
            try reader.finish()
        } catch {
            throw .malformed("block", error)
        }
        self.bytes = bytes
    }

    /// The total size of the transactions, in bytes, which `max_block_size` bounds.
    public var transactionBytes: Int { transactions.reduce(0) { $0 &+ $1.count } }

    /// Returns whether the leader signed the block's hash.
    public func verifySignature(_ leader: PublicKey) -> Bool {
        leader.verify(signature, of: hash)
    }

    /// Compares the blocks' bytes.
    public static func == (left: Block, right: Block) -> Bool { left.bytes == right.bytes }

    /// Hashes the block's hash.
    public func hash(into hasher: inout Hasher) { hasher.combine(hash) }
}
