import Bytes
import Synchronization

/// The block log's files, mapped for reading when they are first needed. Safe on any thread.
///
/// Bytes handed out keep their mapping alive, so forgetting a mapping here never invalidates them. A mapping may
/// reach beyond the end of a file that still grows: only bytes that are committed are ever handed out. A device that
/// fails while mapped bytes are read ends the process (SIGBUS), as with any mapped file.
final class MappedSegments: Sendable {
    let directory: String
    private let disk: any Disk
    /// At least this much is mapped, so that a growing segment is mapped once.
    private let segmentSize: Int
    private let state = Mutex(State())

    /// Mappings kept; the kernel allows a process 65,530 by default and other parts map too.
    private static let maxMappings = 1024

    private struct State {
        var entries: [Int64: Entry] = [:]
        var uses: UInt64 = 0
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

    /// File name of the segment that starts with this height: 20 digits, so that names sort as heights do.
    static func name(_ firstHeight: Int64) -> String {
        let digits = String(firstHeight)
        return String(repeating: "0", count: max(0, nameDigits - digits.utf8.count)) + digits + nameSuffix
    }

    private static let nameDigits = 20
    private static let nameSuffix = ".blocks"

    /// Nil if the name is not a segment's.
    static func firstHeight(ofName name: String) -> Int64? {
        guard name.hasSuffix(nameSuffix), let height = Int64(name.dropLast(nameSuffix.utf8.count)),
            height > 0,
            MappedSegments.name(height) == name
        else { return nil }
        return height
    }

    /// The bytes in `range` of a segment, without copying, and the segment's header.
    func bytes(
        _ firstHeight: Int64, _ range: Range<Int>
    ) throws(StorageError) -> (bytes: SharedBytes, header: SegmentHeader) {
        let path = path(firstHeight)
        let length = try disk.length(of: path)
        guard range.lowerBound >= 0, range.upperBound <= length else {
            throw .corrupted(path: path, offset: length, "the file ends before committed bytes")
        }
        guard length >= SegmentHeader.size else {
            throw .corrupted(path: path, offset: 0, "the segment's header is cut off")
        }
        guard disk.isPersistent else { return try copy(firstHeight, path, range) }
        let (mapping, header) = try state.withLock {
            state throws(StorageError) -> sending (FileMapping, SegmentHeader) in
            state.uses &+= 1
            if var entry = state.entries[firstHeight], entry.mapping.length >= range.upperBound {
                entry.lastUse = state.uses
                state.entries[firstHeight] = entry
                return (entry.mapping, entry.header)
            }
            let mapping = try disk.map(path, length: max(segmentSize, length))
            let start = UnsafeRawBufferPointer(start: mapping.base, count: SegmentHeader.size)
            guard let header = SegmentHeader(decoding: start), header.firstHeight == firstHeight else {
                throw .corrupted(path: path, offset: 0, "the segment's header does not match its checksum")
            }
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

    /// On a disk that does not map: the bytes by value.
    private func copy(
        _ firstHeight: Int64, _ path: String, _ range: Range<Int>
    ) throws(StorageError) -> (bytes: SharedBytes, header: SegmentHeader) {
        let file = try disk.open(path, .read)
        let start = try file.read(at: 0, count: SegmentHeader.size)
        guard let header = start.withUnsafeBytes({ SegmentHeader(decoding: $0) }),
            header.firstHeight == firstHeight
        else { throw .corrupted(path: path, offset: 0, "the segment's header does not match its checksum") }
        return (SharedBytes(try file.read(at: range.lowerBound, count: range.count)), header)
    }
}
