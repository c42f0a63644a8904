import Bytes

/// The segment that takes the next records.
struct ActiveSegment {
    let file: any DiskFile
    let firstHeight: Int64
    let salt: UInt64
    /// Where the last committed record ends.
    var end: Int

    /// Makes the file of a new segment and returns when it and its name are on the device.
    init(creating path: String, firstHeight: Int64, directory: String, disk: any Disk) throws(StorageError) {
        // What is there under this name can only be left from an attempt that failed: no record is in it.
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

    /// Opens the segment that recovery found to be the last.
    init(continuing path: String, header: SegmentHeader, end: Int, disk: any Disk) throws(StorageError) {
        file = try disk.open(path, .readWrite)
        firstHeight = header.firstHeight
        salt = header.salt
        self.end = end
    }

    /// Writes a record and its parts after the last one and returns when they are on the device. After an error the
    /// file may hold a part of the record behind `end`.
    mutating func append(_ record: BlockRecord, _ parts: [SharedBytes]) throws(StorageError) {
        let header = record.encode(salt: salt)
        let padding = [UInt8](repeating: 0, count: record.size - record.resultsRange.upperBound)
        let pieces = [SharedBytes(header)] + parts + [SharedBytes(padding)]
        try withExtendedLifetime(pieces) { () throws(StorageError) in
            try file.write(pieces.map { $0.withUnsafeBytes { $0 } }, at: end)
        }
        try file.synchronize()
        end += record.size
    }

    /// Cuts off what a failed append left behind `end`, also on the device: were a part of it there after a power
    /// failure, the same block in the next segment would not follow.
    func cutOff() throws(StorageError) {
        try file.truncate(to: end)
        try file.synchronize()
    }
}
