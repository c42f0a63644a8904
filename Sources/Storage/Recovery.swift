import Bytes
import Chain
import Crypto

/// Opens the files of a block store and mends what a killed process or a power failure can leave behind.
///
/// The log decides. The last segment is always read whole; the others too if the index cannot be trusted, else
/// only where each ends. A tail that was never committed is cut off; anything else that is wrong in the log is an error.
/// The index is made again unless its seal fits.
struct Recovery {
    /// What was found: all that a store needs.
    struct Outcome {
        var report: RecoveryReport
        var index: BlockIndex
        var isSealed: Bool
        var active: ActiveSegment?
        var firstHeight: Int64?
        var tip: BlockTip?
    }

    private let directory: String
    private let segments: MappedSegments
    private let disk: any Disk
    private var report = RecoveryReport()
    /// First heights of the segments, ascending.
    private var names: [Int64]
    private var mark: CommitMark?
    private var isMarkMissing = false
    private var active: ActiveSegment?
    private var tip: BlockTip?
    /// Where the log ends, for errors.
    private var end: (path: String, offset: Int)?

    /// Bytes of transactions and headers after which a batch of index entries is inserted.
    private static let batchTransactions = 50_000
    private static let batchBlocks = 4096

    static func indexDirectory(_ directory: String) -> String { directory + "/index" }

    /// The caller holds the directory's lock.
    static func run(directory: String, segments: MappedSegments, disk: any Disk) throws(StorageError)
        -> Outcome
    {
        var recovery = try Recovery(directory: directory, segments: segments, disk: disk)
        return try recovery.run()
    }

    private init(directory: String, segments: MappedSegments, disk: any Disk) throws(StorageError) {
        self.directory = directory
        self.segments = segments
        self.disk = disk
        names = try disk.names(in: directory).compactMap(MappedSegments.firstHeight(ofName:)).sorted()
        // What a killed process did may be in the kernel's memory only. From here on it is built upon, so it must last.
        if names.isEmpty { try disk.synchronizeDirectory(AtomicFile.directory(of: directory)) }
        try disk.synchronizeDirectory(directory)
    }

    private mutating func run() throws(StorageError) -> Outcome {
        try readMark()
        let indexPath = Recovery.indexDirectory(directory)
        var doubt = try doubt(about: indexPath)
        var index: BlockIndex?
        if doubt == nil {
            let seal = try seal(in: indexPath)
            try AtomicFile.remove(LMDBIndex.lockPath(indexPath), disk: disk)
            let sealed = try disk.openIndex(indexPath)
            try checkEnds(sealed)
            try scan(from: max(0, names.count - 1), sealed, isWritable: false)
            let fits =
                (tip?.height ?? 0, tip?.hash ?? .zero) == (seal?.lastHeight ?? 0, seal?.lastHash ?? .zero)
            if fits { index = sealed } else { doubt = "it does not end where the log ends" }
        }
        let isSealed = index != nil
        if index == nil {
            try wipe(indexPath)
            let fresh = try disk.openIndex(indexPath)
            tip = nil
            try scan(from: 0, fresh, isWritable: true)
            index = fresh
            if !names.isEmpty, disk.isPersistent { report.indexRebuilt = doubt }
        }
        guard let index else { throw .closed }
        try checkMark(index)
        renewMark()
        if let tip, let first = names.first { report.blocks = tip.height - first + 1 }
        return Outcome(
            report: report, index: index, isSealed: isSealed, active: active,
            firstHeight: tip == nil ? nil : names.first, tip: tip)
    }

    // MARK: Log

    /// Reads segments from position `first` on, adds their blocks to the index if that is writable, cuts off a torn
    /// tail, and leaves the last segment open for appending.
    private mutating func scan(
        from first: Int, _ index: BlockIndex, isWritable: Bool
    ) throws(StorageError) {
        var last: (height: Int64, hash: Hash)?
        if first > 0, !isWritable {
            let height = names[first] &- 1
            last = try index.location(of: height).map { (height, $0.hash) }
        }
        var position = first
        while position < names.count {
            let name = names[position]
            let path = segments.path(name)
            let isLast = position == names.count - 1
            let length = try disk.length(of: path)
            if isLast, try isUnfinished(name, length) {
                try removeUnfinished(path, length)
                break
            }
            if let last, name != last.height &+ 1 {
                throw .corrupted(
                    path: path, offset: 0, "the segment before it ends with block \(last.height)")
            }
            let (bytes, header) = try segments.bytes(name, 0..<length)
            var scanner = SegmentScanner(header: header, bytes: bytes, after: last)
            try walk(&scanner, path: path, isLast: isLast, index, isWritable: isWritable)
            last = scanner.last
            end = (path, scanner.offset)
            if isLast {
                active = try ActiveSegment(
                    continuing: path, header: header, end: scanner.offset, disk: disk)
                // As with the names: the last record may not be on the device yet.
                try active?.file.synchronize()
            }
            position += 1
        }
        if tip == nil, let last, let location = try index.location(of: last.height) {
            try restoreTip(last, location)
        }
    }

    /// Reads one segment to its end.
    private mutating func walk(
        _ scanner: inout SegmentScanner, path: String, isLast: Bool, _ index: BlockIndex, isWritable: Bool
    ) throws(StorageError) {
        var batch: [BlockIndex.Entry] = []
        var batched = 0
        var lastCommit: (record: BlockRecord, offset: Int)?
        scan: while true {
            switch scanner.next() {
            case .record(let record, let block, let offset):
                lastCommit = (record, offset)
                guard isWritable else { continue }
                batch.append(
                    BlockIndex.Entry(
                        block, block.transactions.map { Hash.sha256(of: $0) },
                        segment: scanner.header.firstHeight,
                        offset: offset))
                batched += block.transactions.count
                if batched >= Recovery.batchTransactions || batch.count >= Recovery.batchBlocks {
                    try index.insert(batch)
                    (batch, batched) = ([], 0)
                }
            case .end: break scan
            case .damaged(let why):
                try dropTail(scanner, path: path, isLast: isLast, why)
                break scan
            case .impossible(let why):
                throw .corrupted(path: path, offset: scanner.offset, why)
            }
        }
        if !batch.isEmpty { try index.insert(batch) }
        if let (record, offset) = lastCommit {
            try setTip(record, segment: scanner.header.firstHeight, offset: offset)
        }
    }

    /// Cuts the log off where `scanner` stands, if nothing that was committed is lost by that.
    private mutating func dropTail(
        _ scanner: SegmentScanner, path: String, isLast: Bool, _ why: String
    ) throws(StorageError) {
        let offset = scanner.offset
        let expected = scanner.last.map { $0.height &+ 1 } ?? scanner.header.firstHeight
        let isCommitted = mark.map { $0.lastHeight >= expected } ?? false
        if !isLast || isCommitted || scanner.laterRecord() != nil {
            throw .corrupted(path: path, offset: offset, why)
        }
        let file = try disk.open(path, .readWrite)
        report.bytesDropped = try file.length() - offset
        report.droppedFrom = (path, offset)
        try file.truncate(to: offset)
        try file.synchronize()
    }

    /// Whether the last segment has no records, and a header that was not finished.
    private func isUnfinished(_ name: Int64, _ length: Int) throws(StorageError) -> Bool {
        guard length <= SegmentHeader.size else { return false }
        if let mark, mark.segment >= name { return false }
        let start = try disk.open(segments.path(name), .read).read(at: 0, count: SegmentHeader.size)
        return start.withUnsafeBytes { SegmentHeader(decoding: $0) } == nil
    }

    /// Removes the last segment; the one before it takes the next record.
    private mutating func removeUnfinished(_ path: String, _ length: Int) throws(StorageError) {
        try AtomicFile.remove(path, disk: disk)
        names.removeLast()
        report.bytesDropped = length
        if length > 0 { report.droppedFrom = (path, 0) }
    }

    private mutating func setTip(
        _ record: BlockRecord, segment: Int64, offset: Int
    ) throws(StorageError) {
        let range = record.commitInfoRange
        let (bytes, _) = try segments.bytes(segment, offset + range.lowerBound..<offset + range.upperBound)
        guard let commitInfo = try? CommitInfo(decoding: bytes) else {
            throw .corrupted(
                path: segments.path(segment), offset: offset + range.lowerBound,
                "the commit info of block \(record.height) makes no sense")
        }
        tip = BlockTip(height: record.height, hash: record.hash, appHash: commitInfo.appHash)
    }

    /// The tip lies in a segment that was not read whole: the one after it has no records yet.
    private mutating func restoreTip(
        _ last: (height: Int64, hash: Hash), _ location: BlockIndex.Location
    ) throws(StorageError) {
        let start = location.offset..<location.offset + BlockRecord.headerSize
        let (bytes, segment) = try segments.bytes(location.segment, start)
        guard let record = bytes.withUnsafeBytes({ BlockRecord(decoding: $0, salt: segment.salt) }) else {
            throw .corrupted(
                path: segments.path(location.segment), offset: location.offset,
                "the header of block \(last.height) does not match its checksum")
        }
        try setTip(record, segment: location.segment, offset: location.offset)
    }

    /// Each segment but the last must end with the block before the next one's first, by a trusted index.
    private func checkEnds(_ index: BlockIndex) throws(StorageError) {
        for (segment, next) in zip(names, names.dropFirst()) {
            let path = segments.path(segment)
            guard let location = try index.location(of: next &- 1), location.segment == segment else {
                throw .corrupted(path: path, offset: 0, "block \(next &- 1) is not in it")
            }
            let length = try disk.length(of: path)
            let start = location.offset..<location.offset + BlockRecord.headerSize
            let (bytes, header) = try segments.bytes(segment, start)
            let record = bytes.withUnsafeBytes { BlockRecord(decoding: $0, salt: header.salt) }
            guard let record, record.hash == location.hash, location.offset + record.size == length else {
                throw .corrupted(
                    path: path, offset: location.offset, "block \(next &- 1) is not the last of its segment")
            }
        }
    }

    // MARK: Mark

    private mutating func readMark() throws(StorageError) {
        let path = CommitMark.path(directory)
        guard let bytes = try contents(path, limit: CommitMark.size + 1) else {
            isMarkMissing = true
            return
        }
        mark = CommitMark(decoding: bytes)
        if mark == nil { report.markIgnored = "\(path) does not match its checksum" }
    }

    /// A mark that could not be used is replaced. That may fail, on a full disk for instance: it only weakens a check,
    /// and what is in the log can still be read.
    private mutating func renewMark() {
        if isMarkMissing, tip != nil { report.markIgnored = "it is missing" }
        guard report.markIgnored != nil else { return }
        let path = CommitMark.path(directory)
        guard let tip, let first = names.first, let last = names.last else {
            try? AtomicFile.remove(path, disk: disk)
            return
        }
        let mark = CommitMark(firstHeight: first, lastHeight: tip.height, segment: last, hash: tip.hash)
        try? AtomicFile.write(mark.encode(), to: path, disk: disk)
    }

    /// Everything that was committed must be there.
    private func checkMark(_ index: BlockIndex) throws(StorageError) {
        guard let mark else { return }
        let (path, offset) = end ?? (segments.path(mark.segment), 0)
        guard let tip, tip.height >= mark.lastHeight else {
            throw .corrupted(
                path: path, offset: offset, "the log ends, but blocks up to \(mark.lastHeight) were committed"
            )
        }
        guard let first = names.first, first == mark.firstHeight else {
            throw .corrupted(
                path: segments.path(mark.firstHeight), offset: 0,
                "the segment with the first block is missing")
        }
        guard let location = try index.location(of: mark.lastHeight), location.hash == mark.hash else {
            throw .corrupted(
                path: path, offset: offset,
                "block \(mark.lastHeight) is not \(mark.hash), which was committed")
        }
    }

    // MARK: Index

    /// Why the index may not be opened; nil if it is what was sealed.
    private func doubt(about indexPath: String) throws(StorageError) -> String? {
        guard let seal = try seal(in: indexPath) else {
            guard disk.exists(indexPath) else { return "it is missing" }
            let isThere = disk.exists(IndexSeal.path(indexPath))
            return isThere ? "its seal does not match its checksum" : "it was not closed"
        }
        guard disk.exists(LMDBIndex.dataPath(indexPath)) else { return "its file is missing" }
        let found = try IndexSeal(
            measuring: indexPath, lastHeight: seal.lastHeight, lastHash: seal.lastHash, disk: disk)
        return found == seal ? nil : "its file does not match its checksum"
    }

    private func seal(in indexPath: String) throws(StorageError) -> IndexSeal? {
        try contents(IndexSeal.path(indexPath), limit: IndexSeal.size + 1).flatMap(IndexSeal.init(decoding:))
    }

    /// Vouches for an index that was synchronized and does not change any more.
    static func seal(_ index: BlockIndex, tip: BlockTip?, disk: any Disk) throws(StorageError) {
        let seal = try IndexSeal(
            measuring: index.directory, lastHeight: tip?.height ?? 0, lastHash: tip?.hash ?? .zero,
            disk: disk)
        try AtomicFile.write(seal.encode(), to: IndexSeal.path(index.directory), disk: disk)
    }

    /// Leaves an empty directory for the index.
    private func wipe(_ indexPath: String) throws(StorageError) {
        try disk.makeDirectory(indexPath)
        // The seal first: without it the rest counts for nothing.
        try AtomicFile.remove(IndexSeal.path(indexPath), disk: disk)
        try AtomicFile.remove(LMDBIndex.dataPath(indexPath), disk: disk)
        try AtomicFile.remove(LMDBIndex.lockPath(indexPath), disk: disk)
    }

    // MARK: Files

    /// A small file's content; nil if it is not there.
    private func contents(_ path: String, limit: Int) throws(StorageError) -> [UInt8]? {
        guard disk.exists(path) else { return nil }
        return try disk.open(path, .read).read(at: 0, count: limit)
    }
}

extension BlockIndex.Entry {
    /// Where a block's transactions lie follows from their lengths: they are the last thing in it.
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

    /// Bytes of the uvarint before a transaction.
    private static func prefixSize(_ count: Int) -> Int {
        max(1, (Int.bitWidth - count.leadingZeroBitCount + 6) / 7)
    }
}
