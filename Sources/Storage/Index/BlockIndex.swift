import Chain
import Crypto

/// The positions of blocks and transactions in the block log (docs/storage.md, "Index"). Every answer is verified
/// against the log, from which the index can be rebuilt.
///
/// Lookups are safe on any thread while one thread inserts. `LMDBIndex` is the file that a node uses, `MemoryIndex`
/// serves simulations; every method of this base class throws `closed`.
package class BlockIndex: @unchecked Sendable {
    /// The position of a block's record.
    struct Location: Equatable {
        var segment: Int64
        var offset: Int
        var hash: Hash
    }

    /// The position of a transaction: its block, its index in the block, and its range in the block's bytes.
    struct TransactionLocation: Equatable {
        var height: Int64
        var index: Int
        var offset: Int
        var length: Int
    }

    /// The positions of a block and its transactions.
    struct Entry {
        var height: Int64
        var location: Location
        var transactions: [(id: Hash, location: TransactionLocation)]
    }

    let directory: String

    init(directory: String) { self.directory = directory }

    /// Returns the index directory of the store in `directory`.
    static func directory(in directory: String) -> String { directory + "/index" }

    /// Inserts all of the blocks or none. A transaction ID already present keeps its first position.
    func insert(_ entries: [Entry]) throws(StorageError) { throw .closed }
    /// Returns the position of the block at `height`.
    func location(of height: Int64) throws(StorageError) -> Location? { throw .closed }
    /// Returns the height of the block with this hash.
    func height(of hash: Hash) throws(StorageError) -> Int64? { throw .closed }
    /// Returns the position of the transaction with this ID.
    func transaction(_ id: Hash) throws(StorageError) -> TransactionLocation? { throw .closed }
    /// Waits until everything inserted is durable.
    func synchronize() throws(StorageError) { throw .closed }
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
