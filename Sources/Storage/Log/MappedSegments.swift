import Bytes
import Synchronization

/// The segments of the block log, each mapped when first read. Safe on any thread.
///
/// A returned slice keeps its mapping alive, so evicting a mapping never invalidates the slice. A mapping may extend
/// past the end of a growing file, but only committed bytes are ever returned. As with any mapped file, a device error
/// on read ends the process (SIGBUS).
final class MappedSegments: Sendable {
    let directory: String
    private let disk: any Disk
    /// The minimum length of a mapping, so that a growing segment is mapped once.
    private let segmentSize: Int
    private let state = Mutex(State())

    /// The maximum number of cached mappings. By default the kernel allows a process 65,530 in all.
    private static let maxMappings = 1024

    /// The number of bytes to hand out before the pages of all mappings are released: without that, a process that has
    /// served its log to others appears to need as much memory as the log is long.
    static let maxResident = 8 << 20
    /// What reading one byte makes resident: the kernel maps the cached pages around it too (fault-around, 64 KiB).
    private static let leastResident = 64 << 10

    private struct State {
        var entries: [Int64: Entry] = [:]
        var uses: UInt64 = 0
        /// The bytes that may have become resident since the last release, and the number of uses until then.
        var resident = 0
        var usesReleased: UInt64 = 0

        /// Counts bytes about to be handed out, after releasing all pages if they would be too many.
        mutating func count(_ bytes: Int) {
            let bytes = max(bytes, MappedSegments.leastResident)
            if resident &+ bytes > MappedSegments.maxResident {
                for entry in entries.values where entry.lastUse > usesReleased {
                    entry.mapping.releasePages()
                }
                resident = 0
                usesReleased = uses
            }
            resident &+= bytes
            uses &+= 1
        }
    }

    private struct Entry {
        var mapping: FileMapping
        var header: SegmentHeader
        var lastUse: UInt64
    }

    init(directory: String, segmentSize: Int, disk: any Disk) {
        self.disk = disk
        self.directory = directory
        self.segmentSize = segmentSize
    }

    func path(_ firstHeight: Int64) -> String { directory + "/" + MappedSegments.name(firstHeight) }

    /// Returns the file name of the segment that starts at this height. It has 20 digits, so names sort like heights.
    static func name(_ firstHeight: Int64) -> String {
        let digits = String(firstHeight)
        return String(repeating: "0", count: max(0, nameDigits - digits.utf8.count)) + digits + nameSuffix
    }

    private static let nameDigits = 20
    private static let nameSuffix = ".blocks"

    /// Returns the first height in a segment's file name; nil if `name` is not one.
    static func firstHeight(ofName name: String) -> Int64? {
        guard name.hasSuffix(nameSuffix), let height = Int64(name.dropLast(nameSuffix.utf8.count)),
            height > 0, MappedSegments.name(height) == name
        else { return nil }
        return height
    }

    /// Returns the first heights of the segments in a directory, ascending.
    static func names(in directory: String, disk: any Disk) throws(StorageError) -> [Int64] {
        try disk.names(in: directory).compactMap(firstHeight(ofName:)).sorted()
    }

    /// Removes the files of segments, and returns once that is durable. The first goes first, so that a crash leaves no gap.
    func remove(_ names: [Int64]) throws(StorageError) {
        state.withLock { state in for name in names { state.entries[name] = nil } }
        for name in names.sorted() { _ = try disk.remove(path(name)) }
        try disk.synchronizeDirectory(directory)
    }

    /// Returns the record header of block `height` at `location`, verified against its checksum. Errors name `index` as the
    /// source of the location.
    func header(
        of height: Int64, at location: BlockIndex.Location, index: String
    ) throws(StorageError) -> BlockRecord {
        let (end, overflow) = location.offset.addingReportingOverflow(BlockRecord.headerSize)
        guard !overflow, location.offset >= SegmentHeader.size else {
            throw .index(
                path: index, operation: "look up", "block \(height) is outside its segment")
        }
        let (bytes, segment) = try bytes(location.segment, location.offset..<end)
        guard let header = bytes.withUnsafeBytes({ BlockRecord(decoding: $0, salt: segment.salt) }) else {
            throw .corrupted(
                path: path(location.segment), offset: location.offset,
                "the header of block \(height) does not match its checksum")
        }
        return header
    }

    /// Returns a slice of a segment, without copying, and the segment's header.
    func bytes(
        _ firstHeight: Int64, _ range: Range<Int>
    ) throws(StorageError) -> (bytes: SharedBytes, header: SegmentHeader) {
        let path = path(firstHeight)
        let length = try disk.length(of: path)
        guard range.lowerBound >= 0, range.upperBound <= length else {
            throw .corrupted(path: path, offset: length, "the file ends before committed bytes")
        }
        guard length >= SegmentHeader.size else {
            throw .corrupted(path: path, offset: 0, "the segment header is truncated")
        }
        guard disk.mapsFiles else { return try copy(firstHeight, path, range) }
        let (mapping, header) = try state.withLock {
            state throws(StorageError) -> sending (FileMapping, SegmentHeader) in
            state.count(range.count)
            if var entry = state.entries[firstHeight], entry.mapping.length >= range.upperBound {
                entry.lastUse = state.uses
                state.entries[firstHeight] = entry
                return (entry.mapping, entry.header)
            }
            let mapping = try disk.map(path, length: max(segmentSize, length))
            let start = UnsafeRawBufferPointer(start: mapping.base, count: SegmentHeader.size)
            let header = try MappedSegments.header([UInt8](start), of: firstHeight, path)
            if state.entries.count >= MappedSegments.maxMappings,
                let oldest = state.entries.min(by: { $0.value.lastUse < $1.value.lastUse })
            {
                state.entries[oldest.key] = nil
            }
            state.entries[firstHeight] = Entry(mapping: mapping, header: header, lastUse: state.uses)
            return (mapping, header)
        }
        let bytes = SharedBytes(
            unsafe: mapping.base + range.lowerBound, count: range.count, owner: mapping)
        return (bytes, header)
    }

    /// Copies the bytes instead, for a disk that cannot map files.
    private func copy(
        _ firstHeight: Int64, _ path: String, _ range: Range<Int>
    ) throws(StorageError) -> (bytes: SharedBytes, header: SegmentHeader) {
        let file = try disk.open(path, .read)
        let start = try file.read(at: 0, count: SegmentHeader.size)
        let header = try MappedSegments.header(start, of: firstHeight, path)
        return (SharedBytes(try file.read(at: range.lowerBound, count: range.count)), header)
    }

    private static func header(
        _ start: [UInt8], of firstHeight: Int64, _ path: String
    ) throws(StorageError) -> SegmentHeader {
        guard let header = SegmentHeader(decoding: start), header.firstHeight == firstHeight else {
            throw .corrupted(path: path, offset: 0, "the segment header does not match its checksum")
        }
        return header
    }
}
