import Bytes
import Crypto

/// The leader's order to abandon the block in progress (docs/wire.md, section 5).
public struct ConsensusReset: Hashable, Sendable, WireDecodable {
    /// The height to return to.
    public let height: Int64
    /// Transactions to drop from the mempool.
    public let transactions: [Hash]

    /// Creates a reset from its parts.
    public init(height: Int64, transactions: [Hash]) {
        self.height = height
        self.transactions = transactions
    }

    package static let kind = "consensus reset"

    package init(from reader: inout ByteReader) throws(BytesError) {
        height = try reader.height()
        transactions = try reader.list(reader.u64(), least: Hash.count) { reader throws(BytesError) in
            try reader.hash()
        }
        guard transactions.count <= ChainLimits.resetTransactions else {
            throw .tooLarge(transactions.count, limit: ChainLimits.resetTransactions)
        }
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
