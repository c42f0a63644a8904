import Bytes
import CShims
import Chain
import Crypto
import Synchronization

/// Every committed block with its commit info and results: an append-only log of memory-mapped segments, and an index
/// beside it. docs/storage.md specifies the file formats.
///
/// `append` and `close` wait for an fsync: call them on the storage worker. Everything else is safe on any thread, even
/// while a block is being appended.
public final class BlockStore: Sendable {
    /// The maximum size of a segment, in bytes. A larger block gets a segment of its own.
    public static let defaultSegmentSize = 256 << 20

    /// What opening the store repaired.
    public let recovery: RecoveryReport
    /// What the node knows of the chain at a recent block.
    public let stateFile: StateFile
    let directory: String
    let segmentSize: Int
    let disk: any Disk
    let segments: MappedSegments
    let writer: Mutex<Writer>
    let state: Mutex<State>

    /// The end of the log, used by one appender at a time.
    struct Writer {
        var segment: ActiveSegment?
        /// Whether the last failed append left bytes that could not be cut off yet.
        var mustTruncate = false
        var mark: (any DiskFile)?
    }

    /// What readers need. The mutex is never held during I/O.
    struct State {
        var index: BlockIndex?
        var lock: (any AnyObject & Sendable)?
        var firstHeight: Int64?
        var tip: BlockTip?
    }

    /// Opens or creates the store in `directory`, whose parent must exist, and locks it until `close`.
    ///
    /// Drops a torn write at the end of the log and rebuilds what is missing or damaged of the index: see `recovery`. Throws
    /// `locked` if the directory is open elsewhere, and `corrupted`, with file and offset, if a committed block is
    /// damaged or missing.
    ///
    /// - Parameters:
    ///   - indexLimits: when the index writes and merges its files.
    ///   - progress: called with the height of each block that is read; returns false to stop, and `interrupted` is
    ///     thrown.
    package init(
        directory: String, segmentSize: Int = BlockStore.defaultSegmentSize,
        indexLimits: IndexLimits = IndexLimits(), disk: any Disk = SystemDisk.shared,
        progress: @escaping @Sendable (Int64) -> Bool = { _ in true }
    ) throws(StorageError) {
        try disk.makeDirectory(directory)
        let lock = try disk.lock(directory + "/LOCK")
        let segments = MappedSegments(directory: directory, segmentSize: segmentSize, disk: disk)
        var repair = try Recovery(
            directory: directory, segments: segments, indexLimits: indexLimits, disk: disk, progress: progress
        )
        let found = try repair.run()
        self.directory = directory
        self.segmentSize = segmentSize
        self.disk = disk
        self.segments = segments
        recovery = found.report
        stateFile = StateFile(directory: directory, disk: disk)
        writer = Mutex(Writer(segment: found.active))
        state = Mutex(State(index: found.index, lock: lock, firstHeight: found.firstHeight, tip: found.tip))
    }

    deinit { try? close() }

    /// The last block; nil in an empty store.
    public var tip: BlockTip? { state.withLock { $0.tip } }

    // MARK: Index

    /// Whether `maintainIndex` has something to do.
    public var isIndexDue: Bool { state.withLock { $0.index }?.isDue ?? false }

    /// Writes and merges the files of the index, beside appends and reads. It may take as long as rewriting the whole index:
    /// call it on a thread that nobody waits for, whenever `isIndexDue` after an append. `close` makes it return early.
    public func maintainIndex() throws(StorageError) {
        assert(apus_may_block(), "the block index is written on a thread that may not wait")
        try state.withLock { $0.index }?.maintain()
    }

    // MARK: Reading

    /// Returns the block at `height`, its bytes verified against their checksums; nil if the store lacks it.
    public func block(at height: Int64) throws(StorageError) -> StoredBlock? {
        do throws(StorageError) {
            return pruned(height) == nil ? try storedBlock(at: height) : nil
        } catch {
            // It may be dropped while it is read.
            if pruned(height) != nil { return nil }
            throw error
        }
    }

    private func storedBlock(at height: Int64) throws(StorageError) -> StoredBlock? {
        let index = try openIndex()
        guard let location = try index.location(of: height) else { return nil }
        let (record, header) = try record(at: location, height: height, index: index)
        guard let parts = header.parts(of: record) else {
            throw .corrupted(
                path: segments.path(location.segment), offset: location.offset,
                "block \(height) does not match its checksum")
        }
        return StoredBlock(
            height: height, hash: header.hash, block: parts.block, commitInfo: parts.commitInfo,
            resultBytes: parts.results, path: segments.path(location.segment), offset: location.offset)
    }

    /// Returns the block with this hash, verified like `block(at:)`; nil if the store lacks it. Throws `pruned` if the store
    /// has dropped it and still knows that.
    public func block(hash: Hash) throws(StorageError) -> StoredBlock? {
        let index = try openIndex()
        guard let height = try index.height(of: hash) else { return nil }
        guard let block = try block(at: height), block.hash == hash else {
            if let error = pruned(height) { throw error }
            throw .index(
                path: index.directory, operation: "look up", "block \(hash) is not at height \(height)")
        }
        return block
    }

    /// Returns whether a transaction was committed. Reads only the index.
    public func contains(_ id: Hash) throws(StorageError) -> Bool {
        try openIndex().transaction(id) != nil
    }

    /// Returns the transaction with this ID, its bytes verified against the ID, and its result. Throws `pruned` if the store
    /// has dropped its block and still knows that.
    public func transaction(_ id: Hash) throws(StorageError) -> StoredTransaction? {
        let index = try openIndex()
        guard let found = try index.transaction(id) else { return nil }
        do throws(StorageError) {
            if let error = pruned(found.height) { throw error }
            return try transaction(id, at: found, index)
        } catch {
            throw pruned(found.height) ?? error
        }
    }

    private func transaction(
        _ id: Hash, at found: BlockIndex.TransactionLocation, _ index: BlockIndex
    ) throws(StorageError) -> StoredTransaction {
        guard let location = try index.location(of: found.height) else {
            throw .index(path: index.directory, operation: "look up", "block \(found.height) is missing")
        }
        let (record, header) = try record(at: location, height: found.height, index: index)
        let path = segments.path(location.segment)
        guard found.offset <= header.block.length, found.length <= header.block.length - found.offset else {
            throw .index(
                path: index.directory, operation: "look up", "transaction \(id) is outside its block")
        }
        let bytes = record.slice(header.blockRange).slice(found.offset..<found.offset + found.length)
        guard Hash.sha256(of: bytes) == id else {
            throw .corrupted(
                path: path, offset: location.offset + header.blockRange.lowerBound + found.offset,
                "the bytes indexed as transaction \(id) have another hash")
        }
        let results = record.slice(header.resultsRange)
        guard BlockRecord.Part(of: results) == header.results,
            let result = ResultList(decoding: results)?.result(at: found.index)
        else {
            throw .corrupted(
                path: path, offset: location.offset + header.resultsRange.lowerBound,
                "the results of block \(found.height) do not match their checksum")
        }
        return StoredTransaction(bytes: bytes, height: found.height, index: found.index, result: result)
    }

    private func openIndex() throws(StorageError) -> BlockIndex {
        assert(apus_may_block(), "the block log is read on a thread that may not wait")
        guard let index = state.withLock({ $0.index }) else { throw .closed }
        return index
    }

    /// Returns the bytes and header of the whole record at `location`, after checking its height and hash.
    private func record(
        at location: BlockIndex.Location, height: Int64, index: BlockIndex
    ) throws(StorageError) -> (SharedBytes, BlockRecord) {
        let header = try segments.header(of: height, at: location, index: index.directory)
        guard header.height == height, header.hash == location.hash else {
            throw .index(
                path: index.directory, operation: "look up",
                "it places block \(height) where block \(header.height) is")
        }
        let whole = location.offset..<location.offset + header.size
        return (try segments.bytes(location.segment, whole).bytes, header)
    }

    // MARK: Closing

    /// Makes the index durable and unlocks the directory. Later calls throw `closed`; slices already returned
    /// stay valid. Releasing the store also closes it; the next opening recovers a store that was never closed.
    public func close() throws(StorageError) {
        try writer.withLock { writer throws(StorageError) in
            let (index, lock) = state.withLock { state in
                defer {
                    state.index = nil
                    state.lock = nil
                }
                return (state.index, state.lock)
            }
            guard let index, let lock else { return }
            assert(apus_may_block(), "the block log is closed on a thread that may not wait")
            defer { withExtendedLifetime(lock) {} }
            if writer.mustTruncate, let segment = writer.segment {
                try segment.cutOff()
                writer.mustTruncate = false
            }
            writer.segment = nil
            try writer.mark?.synchronize()
            try index.close()
        }
    }

    /// Releases the directory without writing anything, as a killed process does.
    func abandon() {
        writer.withLock { writer in
            writer.segment = nil
            writer.mark = nil
            state.withLock {
                $0.index = nil
                $0.lock = nil
            }
        }
    }
}
