import Bytes
import CShims
import Chain
import Crypto
import Synchronization

/// All committed blocks with their commit infos and results: an append-only log of segments, mapped for reading,
/// and an index beside it. The files' formats are in docs/storage.md.
///
/// `append` and `close` wait for the device: call them on the storage worker. Everything else may be called from any
/// thread, also while a block is being appended.
public final class BlockStore: Sendable {
    /// Bytes after which a new segment is begun; a block that is larger has one for itself.
    public static let defaultSegmentSize = 256 << 20

    /// What opening the store had to mend.
    public let recovery: RecoveryReport
    private let directory: String
    private let segmentSize: Int
    private let disk: any Disk
    private let segments: MappedSegments
    private let writer: Mutex<Writer>
    private let state: Mutex<State>

    /// The end of the log; used by one appender at a time.
    private struct Writer {
        var segment: ActiveSegment?
        /// Where the last append that failed left bytes that could not be cut off yet.
        var mustTruncate = false
        var mark: (any DiskFile)?
        /// Whether the index file still is what its seal vouches for.
        var isSealed: Bool
    }

    /// What readers need. The lock is never held during input or output.
    private struct State {
        var index: BlockIndex?
        var lock: (any AnyObject & Sendable)?
        var firstHeight: Int64?
        var tip: BlockTip?
    }

    /// Opens the store in `directory`, or makes it (its parent must exist), and locks it until `close`.
    ///
    /// Cuts off a block whose writing was interrupted and makes a missing, damaged or doubtful index again from the
    /// log: see `recovery`. Throws `locked` if the directory is open elsewhere and `corrupted`, with file and offset,
    /// if a block that was committed is damaged or missing.
    public convenience init(
        directory: String, segmentSize: Int = BlockStore.defaultSegmentSize
    ) throws(StorageError) {
        try self.init(directory: directory, segmentSize: segmentSize, disk: SystemDisk.shared)
    }

    package init(directory: String, segmentSize: Int, disk: any Disk) throws(StorageError) {
        try disk.makeDirectory(directory)
        let lock = try disk.lock(directory + "/LOCK")
        let segments = MappedSegments(directory: directory, segmentSize: segmentSize, disk: disk)
        let found = try Recovery.run(directory: directory, segments: segments, disk: disk)
        self.directory = directory
        self.segmentSize = segmentSize
        self.disk = disk
        self.segments = segments
        recovery = found.report
        writer = Mutex(
            Writer(segment: found.active, mark: nil, isSealed: found.isSealed))
        state = Mutex(State(index: found.index, lock: lock, firstHeight: found.firstHeight, tip: found.tip))
    }

    deinit { try? close() }

    /// The last block; nil in an empty store.
    public var tip: BlockTip? { state.withLock { $0.tip } }

    /// The first block's height; nil in an empty store.
    public var firstHeight: Int64? { state.withLock { $0.firstHeight } }

    // MARK: Appending

    /// Appends the next block and returns when it is on the device. There must be one result a transaction.
    ///
    /// Throws `refused` if the block's height is not the last one's plus one or its previous hash is not the last
    /// one's hash. After any error the store is as it was, and appending may be tried again.
    public func append(
        _ block: Block, _ commitInfo: CommitInfo, _ results: [TransactionResult]
    ) throws(StorageError) {
        assert(apus_may_block(), "the block log is written on a reactor's thread")
        let resultBytes = ResultList(results).bytes
        let commitBytes = SharedBytes(commitInfo.bytes)
        try writer.withLock { writer throws(StorageError) in
            let (index, tip, firstHeight) = state.withLock { ($0.index, $0.tip, $0.firstHeight) }
            guard let index else { throw .closed }
            try BlockStore.check(block, commitBytes, results, after: tip)
            let record = BlockRecord(
                height: block.height, hash: block.hash, block: .init(of: block.bytes),
                commitInfo: .init(of: commitBytes), results: .init(of: resultBytes))
            if writer.mustTruncate, let segment = writer.segment {
                try segment.cutOff()
                writer.mustTruncate = false
            }
            var segment = try activeSegment(&writer, for: record)
            let before = segment
            do throws(StorageError) {
                try segment.append(record, [block.bytes, commitBytes, resultBytes])
                try unseal(&writer)
                try index.insert([BlockIndex.Entry(block, segment: segment.firstHeight, offset: before.end)])
            } catch {
                do throws(StorageError) { try before.cutOff() } catch { writer.mustTruncate = true }
                throw error
            }
            writer.segment = segment
            writeMark(
                &writer,
                CommitMark(
                    firstHeight: firstHeight ?? block.height, lastHeight: block.height,
                    segment: segment.firstHeight, hash: block.hash))
            state.withLock {
                $0.firstHeight = firstHeight ?? block.height
                $0.tip = BlockTip(height: block.height, hash: block.hash, appHash: commitInfo.appHash)
            }
        }
    }

    private static func check(
        _ block: Block, _ commitInfo: SharedBytes, _ results: [TransactionResult], after tip: BlockTip?
    ) throws(StorageError) {
        guard block.height > 0 else { throw .refused("its height is \(block.height)") }
        if let tip {
            let next = tip.height &+ 1
            guard block.height == next else { throw .refused("its height is \(block.height), not \(next)") }
            guard block.header.previousHash == tip.hash else {
                throw .refused("its previous block is \(block.header.previousHash), not \(tip.hash)")
            }
        }
        guard results.count == block.transactions.count else {
            throw .refused("it has \(block.transactions.count) transactions and \(results.count) results")
        }
        guard block.bytes.count <= ChainLimits.blockBytes, commitInfo.count <= ChainLimits.commitInfoBytes
        else {
            throw .refused("it has \(block.bytes.count) bytes, its commit info \(commitInfo.count)")
        }
    }

    /// The segment that takes the next record: the last one, or a new one if that would grow too large.
    private func activeSegment(
        _ writer: inout Writer, for record: BlockRecord
    ) throws(StorageError) -> ActiveSegment {
        if let segment = writer.segment,
            segment.end == SegmentHeader.size || segment.end + record.size <= segmentSize
        {
            return segment
        }
        let segment = try ActiveSegment(
            creating: segments.path(record.height), firstHeight: record.height, directory: directory,
            disk: disk)
        writer.segment = segment
        return segment
    }

    /// Before the index changes for the first time its seal goes.
    private func unseal(_ writer: inout Writer) throws(StorageError) {
        guard writer.isSealed else { return }
        try AtomicFile.remove(IndexSeal.path(Recovery.indexDirectory(directory)), disk: disk)
        writer.isSealed = false
    }

    /// An old mark, or none, only weakens a check: an error here must not fail a block that is on the device.
    private func writeMark(_ writer: inout Writer, _ mark: CommitMark) {
        do {
            let file = try writer.mark ?? disk.open(CommitMark.path(directory), .createIfMissing)
            writer.mark = file
            try file.write(mark.encode(), at: 0)
        } catch {
            writer.mark = nil
            _ = try? disk.remove(CommitMark.path(directory))
        }
    }

    // MARK: Reading

    /// The block of this height, its bytes checked against their checksums; nil if it is not there.
    public func block(at height: Int64) throws(StorageError) -> StoredBlock? {
        let index = try openIndex()
        guard let location = try index.location(of: height) else { return nil }
        let (record, header) = try record(at: location, height: height, index: index)
        let parts = [header.blockRange, header.commitInfoRange, header.resultsRange].map { record.slice($0) }
        for (part, expected) in zip(parts, [header.block, header.commitInfo, header.results])
        where BlockRecord.Part(of: part) != expected {
            throw .corrupted(
                path: segments.path(location.segment), offset: location.offset,
                "block \(height) does not match its checksum")
        }
        return StoredBlock(
            height: height, hash: header.hash, block: parts[0], commitInfo: parts[1], resultBytes: parts[2],
            path: segments.path(location.segment), offset: location.offset)
    }

    /// The block with this hash.
    public func block(hash: Hash) throws(StorageError) -> StoredBlock? {
        let index = try openIndex()
        guard let height = try index.height(of: hash) else { return nil }
        guard let block = try block(at: height), block.hash == hash else {
            throw .index(
                path: index.directory, operation: "look up", "block \(hash) is not at height \(height)")
        }
        return block
    }

    /// The height of the block with this hash.
    public func height(of hash: Hash) throws(StorageError) -> Int64? {
        let index = try openIndex()
        guard let height = try index.height(of: hash) else { return nil }
        guard try index.location(of: height)?.hash == hash else {
            throw .index(
                path: index.directory, operation: "look up", "block \(hash) is not at height \(height)")
        }
        return height
    }

    /// The hash of the block of this height.
    public func hash(at height: Int64) throws(StorageError) -> Hash? {
        try openIndex().location(of: height)?.hash
    }

    /// Whether a transaction was committed. Reads the index only.
    public func contains(_ id: Hash) throws(StorageError) -> Bool {
        try openIndex().transaction(id) != nil
    }

    /// The transaction with this ID, its bytes checked against the ID, and its result.
    public func transaction(_ id: Hash) throws(StorageError) -> StoredTransaction? {
        let index = try openIndex()
        guard let found = try index.transaction(id) else { return nil }
        guard let location = try index.location(of: found.height) else {
            throw .index(path: index.directory, operation: "look up", "there is no block \(found.height)")
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
                "transaction \(id) is not there as the index says")
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
        assert(apus_may_block(), "the block log is read on a reactor's thread")
        guard let index = state.withLock({ $0.index }) else { throw .closed }
        return index
    }

    /// The whole record at `location`, whose header names that height and hash.
    private func record(
        at location: BlockIndex.Location, height: Int64, index: BlockIndex
    ) throws(StorageError) -> (SharedBytes, BlockRecord) {
        let (headerEnd, overflow) = location.offset.addingReportingOverflow(BlockRecord.headerSize)
        guard !overflow, location.offset >= SegmentHeader.size else {
            throw .index(
                path: index.directory, operation: "look up", "block \(height) is outside its segment")
        }
        let (bytes, segment) = try segments.bytes(location.segment, location.offset..<headerEnd)
        guard let header = bytes.withUnsafeBytes({ BlockRecord(decoding: $0, salt: segment.salt) }) else {
            throw .corrupted(
                path: segments.path(location.segment), offset: location.offset,
                "the header of block \(height) does not match its checksum")
        }
        guard header.height == height, header.hash == location.hash else {
            throw .index(
                path: index.directory, operation: "look up",
                "it places block \(height) where block \(header.height) is")
        }
        let whole = location.offset..<location.offset + header.size
        return (try segments.bytes(location.segment, whole).bytes, header)
    }

    // MARK: Closing

    /// Puts the index on the device, seals it and unlocks the directory. Later calls throw `closed`; bytes that were
    /// handed out stay valid. A store that is released without this closes itself; one that never was is mended
    /// when it is opened again.
    public func close() throws(StorageError) {
        try writer.withLock { writer throws(StorageError) in
            let (index, lock, tip) = state.withLock { state in
                defer {
                    state.index = nil
                    state.lock = nil
                }
                return (state.index, state.lock, state.tip)
            }
            guard let index, let lock else { return }
            assert(apus_may_block(), "the block log is closed on a reactor's thread")
            defer { withExtendedLifetime(lock) {} }
            if writer.mustTruncate, let segment = writer.segment {
                try segment.cutOff()
                writer.mustTruncate = false
            }
            writer.segment = nil
            guard !writer.isSealed else { return }
            try writer.mark?.synchronize()
            guard disk.isPersistent else { return }
            try index.synchronize()
            try Recovery.seal(index, tip: tip, disk: disk)
            writer.isSealed = true
        }
    }

    /// Lets go of the directory as a killed process does: nothing is written any more.
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

extension BlockStore {
    /// Bytes of address space that an open store reserves for its index, whatever the index holds.
    public static var indexAddressSpace: Int { LMDBIndex.mapSize }
}
