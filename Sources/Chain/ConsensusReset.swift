import Bytes
import Crypto

/// The leader's order to give up the block in progress (docs/wire.md, section 5).
public struct ConsensusReset: Hashable, Sendable {
    /// The height to return to.
    public let height: Int64
    /// Transactions to drop from the mempool.
    public let transactions: [Hash]

    /// A reset by its parts.
    public init(height: Int64, transactions: [Hash]) {
        self.height = height
        self.transactions = transactions
    }

    /// Decodes a reset; refuses trailing bytes.
    public init(decoding bytes: SharedBytes) throws(ChainError) {
        self = try decodeWhole("consensus reset", bytes) { reader throws(BytesError) in
            try ConsensusReset(from: &reader)
        }
    }

    init(from reader: inout ByteReader) throws(BytesError) {
        guard let height = Int64(exactly: try reader.u64()) else { throw .invalid("a height") }
        self.height = height
        guard let count = Int(exactly: try reader.u64()), count <= reader.remaining / 32 else {
            throw .truncated
        }
        guard count <= ChainLimits.resetTransactions else {
            throw .tooLarge(count, limit: ChainLimits.resetTransactions)
        }
        var transactions: [Hash] = []
        transactions.reserveCapacity(count)
        for _ in 0..<count { transactions.append(try reader.hash()) }
        self.transactions = transactions
    }

    /// u64 height, u64 count, hashes.
    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 16 + transactions.count * 32)
        writer.put(u64: UInt64(clamping: height))
        writer.put(u64: UInt64(transactions.count))
        for hash in transactions { writer.put(hash: hash) }
        return writer.bytes
    }
}
