import Bytes
import Chain
import Crypto

/// Opens the files of a block store and repairs what a killed process or a power failure can leave behind
/// (docs/storage.md, "Opening").
///
/// The log is authoritative. Recovery reads it from the last block in the index on, and of earlier segments only the ends.
/// It adds what it has read to the index, drops an uncommitted tail, and reports any other damage to the log as an error.
struct Recovery {
    /// What a store needs to start.
    struct Outcome {
        var report: RecoveryReport
        var index: BlockIndex
        var active: ActiveSegment?
        var firstHeight: Int64?
        var tip: BlockTip?
    }

    private let directory: String
    private let segments: MappedSegments
    private let indexLimits: IndexLimits
    private let disk: any Disk
    private let progress: @Sendable (Int64) -> Bool
    private var report = RecoveryReport()
    /// The first heights of the segments, ascending.
    private var names: [Int64]
    private var mark: CommitMark?
    private var isMarkMissing = false
    private var active: ActiveSegment?
    private var tip: BlockTip?
    /// The end of the log, for errors.
    private var end: (path: String, offset: Int)?

    /// Lists the segments in `directory`, whose lock the caller holds.
    init(
        directory: String, segments: MappedSegments, indexLimits: IndexLimits, disk: any Disk,
        progress: @escaping @Sendable (Int64) -> Bool
    ) throws(StorageError) {
        self.directory = directory
        self.progress = progress
        self.segments = segments
        self.indexLimits = indexLimits
        self.disk = disk
        names = try MappedSegments.names(in: directory, disk: disk)
        // A killed process may have left names in the page cache only. The store is about to rely on them, so make them
        // durable first.
        if names.isEmpty { try disk.synchronizeDirectory(AtomicFile.directory(of: directory)) }
        try disk.synchronizeDirectory(directory)
    }

    /// Recovers the store.
    mutating func run() throws(StorageError) -> Outcome {
        try readMark()
        try finishPruning()
        var runs = IndexRecovery(directory: directory, segments: segments, names: names, disk: disk)
        let index = BlockIndex(
            directory: BlockIndex.directory(in: directory), runs: try runs.open(), limits: indexLimits,
            disk: disk)
        report.indexRebuilt = runs.doubt
        try checkEnds(index)
        try scan(index)
        try checkMark(index)
        renewMark()
        if let tip, let first = names.first { report.blocks = tip.height - first + 1 }
        return Outcome(
            report: report, index: index, active: active,
            firstHeight: tip == nil ? nil : names.first, tip: tip)
    }

    // MARK: Log

    /// Reads the log from the last block of the index on, adds the blocks after it to the index, cuts off a torn tail, and
    /// opens the last segment for appending.
    private mutating func scan(_ index: BlockIndex) throws(StorageError) {
        let indexed = index.lastHeight ?? 0
        var position = 0
        var start = SegmentHeader.size
        var last: (height: Int64, hash: Hash)?
        if let location = try index.location(of: indexed),
            let found = names.firstIndex(of: location.segment)
        {
            position = found
            start = location.offset
            last = try index.location(of: indexed - 1).map { (indexed - 1, $0.hash) }
        }
        while position < names.count {
            let name = names[position]
            let path = segments.path(name)
            let isLast = position == names.count - 1
            let length = try disk.length(of: path)
            if isLast, try isUnfinished(name, length) {
                try removeUnfinished(path, length)
                break
            }
            if start == SegmentHeader.size, let last, name != last.height &+ 1 {
                throw .corrupted(
                    path: path, offset: 0, "the previous segment ends with block \(last.height)")
            }
            let (bytes, header) = try segments.bytes(name, 0..<length)
            var scanner = SegmentScanner(header: header, bytes: bytes, from: start, after: last)
            try walk(&scanner, path: path, isLast: isLast, index, after: indexed)
            last = scanner.last
            end = (path, scanner.offset)
            if isLast {
                active = try ActiveSegment(
                    continuing: path, header: header, end: scanner.offset, disk: disk)
                // Like the names, the last record may not be durable yet.
                try active?.file.synchronize()
            }
            position += 1
            start = SegmentHeader.size
        }
    }

    /// Reads a segment from the scanner's offset on, and adds its blocks after height `indexed` to the index.
    private mutating func walk(
        _ scanner: inout SegmentScanner, path: String, isLast: Bool, _ index: BlockIndex,
        after indexed: Int64
    ) throws(StorageError) {
        var lastCommit: (record: BlockRecord, offset: Int)?
        scan: while true {
            switch scanner.next() {
            case .record(let record, let block, let offset):
                lastCommit = (record, offset)
                guard progress(record.height) else { throw .interrupted }
                guard record.height > indexed else { continue }
                index.insert(
                    BlockIndex.Entry(
                        block, block.transactions.map { Hash.sha256(of: $0) },
                        segment: scanner.header.firstHeight, offset: offset))
                // A full disk can still be read, as long as memory suffices for the index.
                if index.isOverdue { try index.maintain() } else if index.isDue { try? index.maintain() }
            case .end: break scan
            case .damaged(let why):
                try dropTail(scanner, path: path, isLast: isLast, after: indexed, why)
                break scan
            case .impossible(let why):
                throw .corrupted(path: path, offset: scanner.offset, why)
            }
        }
        if let (record, offset) = lastCommit {
            try setTip(record, segment: scanner.header.firstHeight, offset: offset)
        }
    }

    /// Cuts the log off at the scanner's offset, unless that would lose a committed block.
    private mutating func dropTail(
        _ scanner: SegmentScanner, path: String, isLast: Bool, after indexed: Int64, _ why: String
    ) throws(StorageError) {
        let offset = scanner.offset
        let expected = scanner.last.map { $0.height &+ 1 } ?? scanner.header.firstHeight
        let isCommitted = max(mark?.lastHeight ?? 0, indexed) >= expected
        if !isLast || isCommitted || scanner.laterRecord() != nil {
            throw .corrupted(path: path, offset: offset, why)
        }
        let file = try disk.open(path, .readWrite)
        report.bytesDropped = try file.length() - offset
        report.droppedFrom = (path, offset)
        try file.truncate(to: offset)
        try file.synchronize()
    }

    /// Returns whether the last segment holds nothing but an incomplete header.
    private func isUnfinished(_ name: Int64, _ length: Int) throws(StorageError) -> Bool {
        guard length <= SegmentHeader.size else { return false }
        if let mark, mark.segment >= name { return false }
        let start = try disk.open(segments.path(name), .read).read(at: 0, count: SegmentHeader.size)
        return SegmentHeader(decoding: start) == nil
    }

    /// Removes the last segment; the previous one becomes the last.
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
                "the commit info of block \(record.height) cannot be decoded")
        }
        tip = BlockTip(height: record.height, hash: record.hash, appHash: commitInfo.appHash)
    }

    /// Checks that each segment but the last ends just before the first block of the next, as far as the index reaches.
    private func checkEnds(_ index: BlockIndex) throws(StorageError) {
        let indexed = index.lastHeight ?? 0
        for (segment, next) in zip(names, names.dropFirst()) where next &- 1 <= indexed {
            let path = segments.path(segment)
            let last = next &- 1
            guard let location = try index.location(of: last), location.segment == segment else {
                throw .corrupted(path: path, offset: 0, "it does not contain block \(last)")
            }
            let length = try disk.length(of: path)
            let record = try segments.header(of: last, at: location, index: index.directory)
            guard record.hash == location.hash, location.offset + record.size == length else {
                throw .corrupted(
                    path: path, offset: location.offset, "block \(last) is not the last of its segment")
            }
        }
    }

    // MARK: Mark

    private mutating func readMark() throws(StorageError) {
        let path = CommitMark.path(directory)
        guard let bytes = try AtomicFile.read(path, limit: CommitMark.size + 1, disk: disk) else {
            isMarkMissing = true
            return
        }
        mark = CommitMark(decoding: bytes)
        if mark == nil { report.markIgnored = "\(path) does not match its checksum" }
    }

    /// Removes segments that are below the first height by the mark: a crash has interrupted pruning.
    private mutating func finishPruning() throws(StorageError) {
        guard let first = mark?.firstHeight, names.contains(first), names.first != first else { return }
        try segments.remove(names.filter { $0 < first })
        names.removeAll { $0 < first }
    }

    /// Replaces an unusable mark. Ignores errors, for instance from a full disk: a missing mark only weakens a check,
    /// and the log remains readable.
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

    /// Checks that the log contains everything that the mark says was committed.
    private func checkMark(_ index: BlockIndex) throws(StorageError) {
        guard let mark else { return }
        let (path, offset) = end ?? (segments.path(mark.segment), 0)
        guard let tip, tip.height >= mark.lastHeight else {
            throw .corrupted(
                path: path, offset: offset,
                "the log ends here, but blocks up to \(mark.lastHeight) were committed")
        }
        guard let first = names.first, first == mark.firstHeight else {
            throw .corrupted(
                path: segments.path(mark.firstHeight), offset: 0,
                "the first segment is missing")
        }
        guard let location = try index.location(of: mark.lastHeight), location.hash == mark.hash else {
            throw .corrupted(
                path: path, offset: offset,
                "block \(mark.lastHeight) is not the committed block \(mark.hash)")
        }
    }
}
