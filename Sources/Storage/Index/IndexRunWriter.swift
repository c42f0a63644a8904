import Crypto

/// Writes a run beside its final name, and gives it that name once it is durable. Positions come first, then entries in
/// ascending order.
struct IndexRunWriter {
    private let path: String
    private let directory: String
    private let disk: any Disk
    private let file: any DiskFile
    private var header: IndexRunHeader
    private var fences: IndexFences
    private var checksum = CRC32C()
    private var last: IndexEntry?
    private var buffer: [UInt8] = []
    /// The offset of `buffer` in the file.
    private var offset = IndexRunHeader.size
    /// The bytes since the last synchronization.
    private var unsynchronized = 0

    /// The size of a write in bytes.
    private static let chunk = 256 << 10
    /// After so many bytes the writer waits until they are on the disk: a merge never leaves the disk a long queue of
    /// writes that a commit would have to wait for.
    private static let stretch = 8 << 20

    /// The suffix of a file that is being written.
    private static let temporary = ".new"

    /// Creates the file of a run of these heights and at most so many entries.
    init(directory: String, heights: ClosedRange<Int64>, entries: Int, disk: any Disk) throws(StorageError) {
        path = directory + "/" + IndexRun.name(heights)
        self.directory = directory
        self.disk = disk
        _ = try disk.remove(path + IndexRunWriter.temporary)
        file = try disk.open(path + IndexRunWriter.temporary, .createNew)
        header = IndexRunHeader(
            firstHeight: heights.lowerBound, lastHeight: heights.upperBound, count: 0,
            buckets: IndexRunHeader.buckets(for: entries), checksum: 0)
        fences = IndexFences(capacity: header.buckets)
        buffer.reserveCapacity(IndexRunWriter.chunk + IndexEntry.size)
    }

    /// Calls `body`, which appends everything, and returns the durable run. Removes the file and returns nil if `body` returns
    /// false, and removes it too after an error.
    mutating func complete(
        _ body: (inout IndexRunWriter) throws(StorageError) -> Bool
    ) throws(StorageError) -> IndexRun? {
        do throws(StorageError) {
            if try body(&self) { return try finish() }
        } catch {
            _ = try? disk.remove(path + IndexRunWriter.temporary)
            throw error
        }
        _ = try disk.remove(path + IndexRunWriter.temporary)
        return nil
    }

    mutating func append(_ location: BlockIndex.Location) throws(StorageError) {
        location.write(to: &buffer)
        if buffer.count >= IndexRunWriter.chunk { try write() }
    }

    /// Appends the next entry, unless it is a transaction that is there already.
    mutating func append(_ entry: IndexEntry) throws(StorageError) {
        if let last, last.id == entry.id, last.place.isBlock == entry.place.isBlock { return }
        last = entry
        let bucket = IndexEntry.bucket(of: entry.id, count: header.buckets)
        while fences.count < bucket { endBucket() }
        let start = buffer.count
        entry.write(to: &buffer)
        buffer.withUnsafeBytes { checksum.update(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        header.count += 1
        if buffer.count >= IndexRunWriter.chunk { try write() }
    }

    private mutating func endBucket() {
        fences.append(end: header.count, checksum: checksum.value)
        checksum = CRC32C()
    }

    private mutating func write() throws(StorageError) {
        try file.write(buffer, at: offset)
        offset += buffer.count
        unsynchronized += buffer.count
        buffer.removeAll(keepingCapacity: true)
        guard unsynchronized >= IndexRunWriter.stretch else { return }
        try file.synchronize()
        unsynchronized = 0
    }

    private mutating func finish() throws(StorageError) -> IndexRun {
        while fences.count < header.buckets { endBucket() }
        let fenceBytes = fences.encode()
        header.checksum = fenceBytes.withUnsafeBytes(CRC32C.of)
        buffer += fenceBytes
        try write()
        try file.write(header.encode(), at: 0)
        try file.synchronize()
        try disk.rename(path + IndexRunWriter.temporary, to: path)
        try disk.synchronizeDirectory(directory)
        return IndexRun(
            try disk.open(path, .read), path: path, header: header, fences: fences, disk: disk)
    }
}
