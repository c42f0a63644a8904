import Crypto

/// Where blocks and transactions lie in the block log (docs/storage.md, "Index"). Only an index: whatever it says is
/// checked against the log, and it can be made again from the log.
///
/// Lookups are safe on any thread, beside one thread that inserts. `LMDBIndex` keeps it in a file, `MemoryIndex` for a
/// simulation in memory; this base refuses everything.
package class BlockIndex: @unchecked Sendable {
    /// Where a block's record lies.
    struct Location: Equatable {
        var segment: Int64
        var offset: Int
        var hash: Hash
    }

    /// Where a transaction lies: its block, its position in it, and its bytes within the block's bytes.
    struct TransactionLocation: Equatable {
        var height: Int64
        var index: Int
        var offset: Int
        var length: Int
    }

    /// All of one block.
    struct Entry {
        var height: Int64
        var location: Location
        var transactions: [(id: Hash, location: TransactionLocation)]
    }

    let directory: String

    init(directory: String) { self.directory = directory }

    /// Adds blocks in one transaction: all or none. A transaction ID that is there keeps its first place.
    func insert(_ entries: [Entry]) throws(StorageError) { throw .closed }
    /// Where the block of this height lies.
    func location(of height: Int64) throws(StorageError) -> Location? { throw .closed }
    /// The height of the block with this hash.
    func height(of hash: Hash) throws(StorageError) -> Int64? { throw .closed }
    /// Where the transaction lies.
    func transaction(_ id: Hash) throws(StorageError) -> TransactionLocation? { throw .closed }
    /// Forces everything to the device.
    func synchronize() throws(StorageError) { throw .closed }
}
