import Chain
import Crypto

/// The positions of blocks and transactions in the block log (docs/storage.md, "Index"). Every answer is verified
/// against the log, from which the index can be rebuilt.
///
/// Lookups are safe on any thread while one thread inserts. `LMDBIndex` is the file that a node uses, every
/// method of this base class throws `closed`.
open class BlockIndex: @unchecked Sendable {
    /// The position of a block's record.
    public struct Location: Equatable, Sendable {
        package var segment: Int64
        package var offset: Int
        package var hash: Hash
    }

    /// The position of a transaction: its block, its index in the block, and its range in the block's bytes.
    public struct TransactionLocation: Equatable, Sendable {
        package var height: Int64
        package var index: Int
        package var offset: Int
        package var length: Int
    }

    /// The positions of a block and its transactions.
    public struct Entry: Sendable {
        package var height: Int64
        package var location: Location
        package var transactions: [(id: Hash, location: TransactionLocation)]
    }

    let directory: String

    /// Creates an index in `directory`.
    public init(directory: String) { self.directory = directory }

    /// Returns the index directory of the store in `directory`.
    static func directory(in directory: String) -> String { directory + "/index" }

    /// Inserts all of the blocks or none. A transaction ID already present keeps its first position.
    open func insert(_ entries: [Entry]) throws(StorageError) { throw .closed }
    /// Returns the position of the block at `height`.
    open func location(of height: Int64) throws(StorageError) -> Location? { throw .closed }
    /// Returns the height of the block with this hash.
    open func height(of hash: Hash) throws(StorageError) -> Int64? { throw .closed }
    /// Returns the position of the transaction with this ID.
    open func transaction(_ id: Hash) throws(StorageError) -> TransactionLocation? { throw .closed }
    /// Waits until everything inserted is durable.
    open func synchronize() throws(StorageError) { throw .closed }
}

extension BlockIndex.Entry {
    /// Computes the positions of a block's transactions from their lengths; they are the last field of a block.
    init(_ block: Block, _ ids: [Hash], segment: Int64, offset: Int) {
        height = block.height
        location = BlockIndex.Location(segment: segment, offset: offset, hash: block.hash)
        var start = block.bytes.count
        for transaction in block.transactions {
            start -= transaction.count + BlockIndex.Entry.prefixSize(transaction.count)
        }
        transactions = []
        transactions.reserveCapacity(block.transactions.count)
        for (index, transaction) in block.transactions.enumerated() {
            start += BlockIndex.Entry.prefixSize(transaction.count)
            transactions.append(
                (
                    ids[index],
                    BlockIndex.TransactionLocation(
                        height: block.height, index: index, offset: start, length: transaction.count)
                ))
            start += transaction.count
        }
    }

    /// Returns the size of the uvarint that precedes a transaction of `count` bytes.
    private static func prefixSize(_ count: Int) -> Int {
        max(1, (Int.bitWidth - count.leadingZeroBitCount + 6) / 7)
    }
}
