import Chain
import Crypto
import Synchronization

/// The positions of blocks and transactions in the block log (docs/storage.md, "Index"): the newest in a table in memory,
/// the others in sorted files, the runs, which are merged as they become many.
///
/// The runs together are durable up to `lastHeight`. What follows is read from the log at the next start, so nothing here
/// delays a commit. Lookups are safe on any thread, also during `insert` and `maintain`; one thread inserts.
final class BlockIndex: Sendable {
    /// The position of a block's record.
    struct Location: Equatable, Sendable {
        var segment: Int64
        var offset: Int
        var hash: Hash
    }

    /// The position of a transaction: its block, its index in the block, and its range in the block's bytes.
    struct TransactionLocation: Equatable, Sendable {
        var height: Int64
        var index: Int
        var offset: Int
        var length: Int
    }

    /// The positions of a block and its transactions.
    struct Entry: Sendable {
        var height: Int64
        var location: Location
        /// The size of the block in bytes.
        var size: Int
        var transactions: [(id: Hash, location: TransactionLocation)]
    }

    /// The directory of the runs.
    let directory: String
    private let disk: any Disk
    private let limits: IndexLimits
    private let state: Mutex<State>
    /// Held while runs are written or merged.
    private let upkeep = Mutex(())
    private let isClosing = Atomic(false)

    private struct State {
        /// Adjacent runs, oldest first.
        var runs: [IndexRun]
        /// A full table that awaits being written as a run.
        var full: IndexTable?
        var table = IndexTable()
        /// Whether a merge has met damage. The next start mends it; until then, runs are not merged.
        var isDamaged = false

        mutating func setAside() {
            guard full == nil, !table.isEmpty else { return }
            full = table
            table = IndexTable()
        }
    }

    /// Returns the index directory of the store in `directory`.
    static func directory(in directory: String) -> String { directory + "/index" }

    /// Creates the index of these adjacent runs, oldest first.
    init(directory: String, runs: [IndexRun], limits: IndexLimits, disk: any Disk) {
        self.directory = directory
        self.limits = limits
        self.disk = disk
        state = Mutex(State(runs: runs))
    }

    // MARK: Looking up

    /// The last block in the runs, which are durable; nil if there are none.
    var lastHeight: Int64? { state.withLock { $0.runs.last?.header.lastHeight } }

    /// Returns the position of the block at `height`.
    func location(of height: Int64) throws(StorageError) -> Location? {
        let (found, runs) = state.withLock {
            ($0.table.location(of: height) ?? $0.full?.location(of: height), $0.runs)
        }
        if let found { return found }
        return try runs.last { $0.header.heights.contains(height) }?.location(of: height)
    }

    /// Returns the height of the block with this hash.
    func height(of hash: Hash) throws(StorageError) -> Int64? {
        let (found, runs) = state.withLock {
            ($0.table.height(of: hash) ?? $0.full?.height(of: hash), $0.runs)
        }
        if let found { return found }
        for run in runs.reversed() {
            if let place = try run.place(of: hash, isBlock: true) { return place.height }
        }
        return nil
    }

    /// Returns the position of the transaction with this ID, the first if it is in several blocks.
    func transaction(_ id: Hash) throws(StorageError) -> TransactionLocation? {
        let (found, runs) = state.withLock {
            ($0.full?.transaction(id) ?? $0.table.transaction(id), $0.runs)
        }
        for run in runs {
            if let place = try run.place(of: id, isBlock: false) { return place.location }
        }
        return found
    }

    // MARK: Changing

    /// Adds the next block. A transaction that is already there keeps its first position.
    func insert(_ entry: Entry) {
        state.withLock { state in
            state.table.insert(entry)
            if state.table.isFull(limits) { state.setAside() }
        }
    }

    /// Whether `maintain` has something to do.
    var isDue: Bool { state.withLock { $0.full != nil || mergeable($0) != nil } }

    private func mergeable(_ state: State) -> ArraySlice<IndexRun>? {
        guard !state.isDamaged, let range = limits.merge(of: state.runs.map(\.size)) else { return nil }
        return state.runs[range]
    }

    /// Whether `maintain` is so late that the table takes several times the memory it should: call it before `insert`.
    var isOverdue: Bool { state.withLock { $0.full != nil && $0.table.isFull(limits.overdue) } }

    /// Writes a full table as a run, and merges runs until they are few. It waits for fsyncs, in the end as long as
    /// rewriting the whole index takes, and returns early once `close` is called.
    func maintain() throws(StorageError) {
        try upkeep.withLock { _ throws(StorageError) in
            guard !isClosing.load(ordering: .relaxed) else { return }
            try writeFullTable()
            while !isClosing.load(ordering: .relaxed) {
                guard let runs = state.withLock({ mergeable($0) }) else { return }
                do throws(StorageError) {
                    try merge(Array(runs))
                } catch {
                    if case .index = error { state.withLock { $0.isDamaged = true } }
                    throw error
                }
            }
        }
    }

    /// Makes everything inserted durable. Call nothing but lookups afterwards.
    func close() throws(StorageError) {
        isClosing.store(true, ordering: .relaxed)
        try upkeep.withLock { _ throws(StorageError) in
            try writeFullTable()
            state.withLock { $0.setAside() }
            try writeFullTable()
        }
    }

    private func writeFullTable() throws(StorageError) {
        guard let table = state.withLock({ $0.full }) else { return }
        let entries = table.sorted()
        var writer = try IndexRunWriter(
            directory: directory, heights: table.heights, entries: entries.count, disk: disk)
        let run = try writer.complete { (writer) throws(StorageError) in
            for location in table.locations { try writer.append(location) }
            for entry in entries { try writer.append(entry) }
            return true
        }
        state.withLock { state in
            if let run { state.runs.append(run) }
            state.full = nil
        }
    }

    /// Replaces adjacent runs by one.
    private func merge(_ runs: [IndexRun]) throws(StorageError) {
        guard let first = runs.first, let last = runs.last else { return }
        var writer = try IndexRunWriter(
            directory: directory, heights: first.header.firstHeight...last.header.lastHeight,
            entries: runs.reduce(0) { $0 + $1.header.count }, disk: disk)
        let merged = try writer.complete { (writer) throws(StorageError) in
            var merge = IndexMerge(runs)
            return try merge.run(into: &writer) { () throws(StorageError) in
                guard !isClosing.load(ordering: .relaxed) else { return false }
                // A table that has become full meanwhile must not wait for the end of a long merge.
                try writeFullTable()
                return true
            }
        }
        guard let merged else { return }
        state.withLock { state in
            guard let start = state.runs.firstIndex(where: { $0 === first }) else { return }
            state.runs.replaceSubrange(start..<start + runs.count, with: [merged])
        }
        // If this fails, the next start removes them.
        for run in runs { _ = try? disk.remove(run.path) }
    }
}

extension BlockIndex.Entry {
    /// Computes the positions of a block's transactions from their lengths; they are the last field of a block.
    init(_ block: Block, _ ids: [Hash], segment: Int64, offset: Int) {
        height = block.height
        location = BlockIndex.Location(segment: segment, offset: offset, hash: block.hash)
        size = block.bytes.count
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
