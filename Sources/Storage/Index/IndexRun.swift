import Bytes
import Crypto

/// A sorted file of the block index (docs/storage.md, "Index"). It never changes.
///
/// Header and fences are checked when it is opened, everything else whenever it is read. Safe on any thread.
final class IndexRun: Sendable {
    let path: String
    let header: IndexRunHeader
    private let file: any DiskFile
    private let fences: IndexFences
    private let disk: any Disk

    /// The number of entries.
    var size: Int { header.count }

    /// Creates a run whose file has just been written.
    init(_ file: any DiskFile, path: String, header: IndexRunHeader, fences: IndexFences, disk: any Disk) {
        self.path = path
        self.header = header
        self.file = file
        self.fences = fences
        self.disk = disk
    }

    /// Opens a file. Throws `index` if it is not a whole run.
    init(opening path: String, disk: any Disk) throws(StorageError) {
        let file = try disk.open(path, .read)
        guard let header = IndexRunHeader(decoding: try file.read(at: 0, count: IndexRunHeader.size)) else {
            throw .index(path: path, operation: "read", "its header does not match its checksum")
        }
        guard try file.length() == header.length else {
            throw .index(path: path, operation: "read", "it does not have \(header.length) bytes")
        }
        let bytes = try file.read(
            at: header.fencesOffset, count: header.buckets * IndexRunHeader.fenceSize)
        guard bytes.withUnsafeBytes(CRC32C.of) == header.checksum,
            let fences = IndexFences(decoding: bytes, entries: header.count)
        else { throw .index(path: path, operation: "read", "its fences do not match their checksum") }
        self.path = path
        self.header = header
        self.file = file
        self.fences = fences
        self.disk = disk
    }

    /// Returns the file name of the run of these heights.
    static func name(_ heights: ClosedRange<Int64>) -> String {
        "\(heights.lowerBound)-\(heights.upperBound).run"
    }

    /// Returns the heights in a run's file name; nil if `name` is not one.
    static func heights(ofName name: String) -> ClosedRange<Int64>? {
        let parts = name.dropLast(4).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let first = Int64(parts[0]), let last = Int64(parts[1]), first <= last,
            IndexRun.name(first...last) == name
        else { return nil }
        return first...last
    }

    // MARK: Reading

    /// Returns the position of the block at `height`, which must be one of the run's.
    func location(of height: Int64) throws(StorageError) -> BlockIndex.Location {
        try locations(from: height, count: 1)[0]
    }

    /// Returns the positions of `count` blocks from `height` on, which must be the run's.
    func locations(from height: Int64, count: Int) throws(StorageError) -> [BlockIndex.Location] {
        let size = IndexRunHeader.locationSize
        let offset = IndexRunHeader.size + Int(height - header.firstHeight) * size
        let bytes = try file.read(at: offset, count: count * size)
        let locations = bytes.withUnsafeBytes { bytes -> [BlockIndex.Location] in
            var locations: [BlockIndex.Location] = []
            for start in stride(from: 0, to: bytes.count - size + 1, by: size) {
                let record = UnsafeRawBufferPointer(rebasing: bytes[start..<start + size])
                guard let location = BlockIndex.Location(decoding: record) else { break }
                locations.append(location)
            }
            return locations
        }
        guard locations.count == count else { throw damaged("the position of a block") }
        return locations
    }

    /// Returns the place of a block or transaction; nil if the run lacks it.
    func place(of id: Hash, isBlock: Bool) throws(StorageError) -> IndexEntry.Place? {
        let bytes = try bucket(IndexEntry.bucket(of: id, count: header.buckets))
        return bytes.withUnsafeBytes { bytes in
            id.withUnsafeBytes { id in
                var low = 0
                var high = bytes.count / IndexEntry.size
                while low < high {
                    let middle = (low + high) / 2
                    let entry = UnsafeRawBufferPointer(rebasing: bytes[(middle * IndexEntry.size)...])
                    if IndexEntry.compare(entry, id) < 0 { low = middle + 1 } else { high = middle }
                }
                while low < bytes.count / IndexEntry.size {
                    let entry = UnsafeRawBufferPointer(rebasing: bytes[(low * IndexEntry.size)...])
                    guard IndexEntry.compare(entry, id) == 0 else { return nil }
                    if let found = IndexEntry(decoding: entry), found.place.isBlock == isBlock {
                        return found.place
                    }
                    low += 1
                }
                return nil
            }
        }
    }

    /// Returns the bytes of a bucket's entries, which match their checksum.
    func bucket(_ number: Int) throws(StorageError) -> [UInt8] {
        let range = fences.range(number)
        let bytes = try file.read(
            at: header.entriesOffset + range.lowerBound * IndexEntry.size,
            count: range.count * IndexEntry.size)
        guard bytes.count == range.count * IndexEntry.size,
            bytes.withUnsafeBytes(CRC32C.of) == fences.checksum(number)
        else { throw damaged("bucket \(number)") }
        return bytes
    }

    /// Removes the file, so that the next start builds this part of the index again, and returns the error.
    private func damaged(_ part: String) -> StorageError {
        _ = try? disk.remove(path)
        return .index(
            path: path, operation: "look up",
            "\(part) does not match its checksum; the next start builds this file again from the block log")
    }
}

extension BlockIndex.Location {
    /// Decodes a position, `IndexRunHeader.locationSize` bytes; nil if it does not match its checksum.
    init?(decoding bytes: UnsafeRawBufferPointer) {
        let end = IndexRunHeader.locationSize - 4
        guard CRC32C.of(UnsafeRawBufferPointer(rebasing: bytes[..<end])) == bytes.word(end),
            let hash = try? Hash(UnsafeRawBufferPointer(rebasing: bytes[16..<end]))
        else { return nil }
        let offset = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: Int64.self))
        guard offset >= 0 else { return nil }
        segment = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 0, as: Int64.self))
        self.offset = Int(offset)
        self.hash = hash
    }

    func write(to bytes: inout [UInt8]) {
        let start = bytes.count
        withUnsafeBytes(of: segment.littleEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: Int64(offset).littleEndian) { bytes.append(contentsOf: $0) }
        hash.withUnsafeBytes { bytes.append(contentsOf: $0) }
        let checksum = bytes.withUnsafeBytes { CRC32C.of(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        withUnsafeBytes(of: checksum.littleEndian) { bytes.append(contentsOf: $0) }
    }
}
