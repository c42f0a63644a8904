import Crypto
import Storage
import Synchronization

/// The block index of a simulated disk, rebuilt from the log at each start.
final class MemoryIndex: BlockIndex, @unchecked Sendable {
    private struct Tables {
        var blocks: [Int64: Location] = [:]
        var heights: [Hash: Int64] = [:]
        var transactions: [Hash: TransactionLocation] = [:]
    }

    private let tables = Mutex(Tables())

    override func insert(_ entries: [Entry]) throws(StorageError) {
        tables.withLock { tables in
            for entry in entries {
                tables.blocks[entry.height] = entry.location
                tables.heights[entry.location.hash] = entry.height
                for (id, location) in entry.transactions where tables.transactions[id] == nil {
                    tables.transactions[id] = location
                }
            }
        }
    }

    override func location(of height: Int64) throws(StorageError) -> Location? {
        tables.withLock { $0.blocks[height] }
    }

    override func height(of hash: Hash) throws(StorageError) -> Int64? {
        tables.withLock { $0.heights[hash] }
    }

    override func transaction(_ id: Hash) throws(StorageError) -> TransactionLocation? {
        tables.withLock { $0.transactions[id] }
    }

    override func synchronize() throws(StorageError) {}
}
