import Crypto

/// The positions of the newest blocks and their transactions, in memory.
struct IndexTable {
    private(set) var firstHeight: Int64 = 0
    /// The positions of consecutive blocks.
    private(set) var locations: [BlockIndex.Location] = []
    private var blocks: [Hash: Int64] = [:]
    private var transactions: [Hash: BlockIndex.TransactionLocation] = [:]
    /// The size of the blocks, in bytes.
    private var bytes = 0

    var isEmpty: Bool { locations.isEmpty }

    /// The heights of the blocks; the table must not be empty.
    var heights: ClosedRange<Int64> { firstHeight...firstHeight + Int64(max(locations.count, 1) - 1) }

    func isFull(_ limits: IndexLimits) -> Bool {
        blocks.count + transactions.count >= limits.entries || blocks.count >= limits.blocks
            || bytes >= limits.bytes
    }

    /// Adds the next block.
    mutating func insert(_ entry: BlockIndex.Entry) {
        if isEmpty { firstHeight = entry.height }
        assert(entry.height == firstHeight + Int64(locations.count), "the index skips a block")
        locations.append(entry.location)
        blocks[entry.location.hash] = entry.height
        bytes += entry.size
        for (id, location) in entry.transactions where transactions[id] == nil {
            transactions[id] = location
        }
    }

    func location(of height: Int64) -> BlockIndex.Location? {
        let (distance, overflow) = height.subtractingReportingOverflow(firstHeight)
        guard !overflow, distance >= 0, distance < locations.count else { return nil }
        return locations[Int(distance)]
    }

    func height(of hash: Hash) -> Int64? { blocks[hash] }

    func transaction(_ id: Hash) -> BlockIndex.TransactionLocation? { transactions[id] }

    /// The entries of all blocks and transactions, in the order of a run.
    func sorted() -> [IndexEntry] {
        var entries: [IndexEntry] = []
        entries.reserveCapacity(blocks.count + transactions.count)
        for (hash, height) in blocks {
            let place = IndexEntry.Place(
                height: height, index: IndexEntry.Place.block, offset: 0, length: 0)
            entries.append(IndexEntry(hash, place))
        }
        for (id, location) in transactions {
            let place = IndexEntry.Place(
                height: location.height, index: UInt32(truncatingIfNeeded: location.index),
                offset: UInt32(truncatingIfNeeded: location.offset),
                length: UInt32(truncatingIfNeeded: location.length))
            entries.append(IndexEntry(id, place))
        }
        entries.sort { $0.precedes($1) }
        return entries
    }
}
