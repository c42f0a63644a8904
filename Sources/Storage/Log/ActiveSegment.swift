import Bytes

/// The segment that receives the next records.
struct ActiveSegment {
    let file: any DiskFile
    let firstHeight: Int64
    let salt: UInt64
    /// The end of the last committed record.
    var end: Int

    /// Creates a segment's file and returns once the file and its name are durable.
    init(creating path: String, firstHeight: Int64, directory: String, disk: any Disk) throws(StorageError) {
        // A file of this name can only be left over from a failed attempt and holds no record.
        _ = try disk.remove(path)
        let salt = disk.salt()
        do throws(StorageError) {
            file = try disk.open(path, .createNew)
            try file.write(SegmentHeader(firstHeight: firstHeight, salt: salt).encode(), at: 0)
            try file.synchronize()
            try disk.synchronizeDirectory(directory)
        } catch {
            _ = try? disk.remove(path)
            throw error
        }
        self.firstHeight = firstHeight
        self.salt = salt
        end = SegmentHeader.size
    }

    /// Opens the last segment that recovery found.
    init(continuing path: String, header: SegmentHeader, end: Int, disk: any Disk) throws(StorageError) {
        file = try disk.open(path, .readWrite)
        firstHeight = header.firstHeight
        salt = header.salt
        self.end = end
    }

    /// Appends records, each with its parts, and returns once all are durable: one write and one fsync. After an error the
    /// file may hold bytes of them past `end`.
    mutating func append(_ records: [(BlockRecord, parts: [SharedBytes])]) throws(StorageError) {
        var pieces: [SharedBytes] = []
        pieces.reserveCapacity(5 * records.count)
        var size = 0
        for (record, parts) in records {
            pieces.append(SharedBytes(record.encode(salt: salt)))
            pieces += parts
            pieces.append(
                SharedBytes([UInt8](repeating: 0, count: record.size - record.resultsRange.upperBound)))
            size += record.size
        }
        try withExtendedLifetime(pieces) { () throws(StorageError) in
            try file.write(pieces.map { $0.withUnsafeBytes { $0 } }, at: end)
        }
        try file.synchronize()
        if records.count > 1, size >= Self.leastForgotten { file.forget(end..<end + size) }
        end += size
    }

    /// The size, in bytes, from which on the kernel's cache forgets an append of several blocks. A node that catches up, which
    /// appends so, would fill the memory of its machine with old blocks, and each page of memory that the kernel has to find
    /// for them takes longer than the write.
    static let leastForgotten = 1 << 20

    /// Durably cuts off what a failed append left past `end`. If a power failure brought the record back, the same
    /// block in the next segment would not follow it.
    func cutOff() throws(StorageError) {
        try file.truncate(to: end)
        try file.synchronize()
    }
}
