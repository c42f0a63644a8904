import Crypto

/// Where blocks and transactions lie in the block log (docs/storage.md, "Index"). Only an index: whatever it says is
/// checked against the log, and it can be made again from the log.
///
/// Lookups are safe on any thread, beside one thread that inserts. `LMDBIndex` keeps it in a file; this base
/// refuses everything.
open class BlockIndex: @unchecked Sendable {
    /// Where a block's record lies.
    public struct Location: Equatable, Sendable {
        package var segment: Int64
        package var offset: Int
        package var hash: Hash
    }

    /// Where a transaction lies: its block, its position in it, and its bytes within the block's bytes.
    public struct TransactionLocation: Equatable, Sendable {
        package var height: Int64
        package var index: Int
        package var offset: Int
        package var length: Int
    }

    /// All of one block.
    public struct Entry: Sendable {
        package var height: Int64
        package var location: Location
        package var transactions: [(id: Hash, location: TransactionLocation)]
    }

    let directory: String

    /// An index in `directory`.
    public init(directory: String) { self.directory = directory }

    /// Adds blocks in one transaction: all or none. A transaction ID that is there keeps its first place.
    open func insert(_ entries: [Entry]) throws(StorageError) { throw .closed }
    /// Where the block of this height lies.
    open func location(of height: Int64) throws(StorageError) -> Location? { throw .closed }
    /// The height of the block with this hash.
    open func height(of hash: Hash) throws(StorageError) -> Int64? { throw .closed }
    /// Where the transaction lies.
    open func transaction(_ id: Hash) throws(StorageError) -> TransactionLocation? { throw .closed }
    /// Forces everything to the device.
    open func synchronize() throws(StorageError) { throw .closed }
}
