import Bytes

/// The file `STATE` beside the block log: what a start must know of the chain to continue from a recent block instead of the
/// first (docs/storage.md, "State").
///
/// The file is a hint. This type vouches for its bytes alone; the caller checks what they say against the log. Safe on any
/// thread; `write` waits for two fsyncs, so call it on the storage worker.
public struct StateFile: Sendable {
    private static let magic = [UInt8]("APUSSTA1".utf8)
    private static let checksumSize = 4
    /// The maximum size of the file in bytes: room for 200,000 validators.
    static let maxSize = 16 << 20

    private let path: String
    private let disk: any Disk

    /// The file of the store in `directory`.
    package init(directory: String, disk: any Disk) {
        path = directory + "/STATE"
        self.disk = disk
    }

    /// Returns the content that was written last; nil if the file is missing. Throws `corrupted` if it does not match its
    /// checksum.
    public func read() throws(StorageError) -> SharedBytes? {
        guard disk.exists(path) else { return nil }
        let file = try disk.open(path, .read)
        let bytes = try file.read(at: 0, count: min(try file.length(), StateFile.maxSize + 1))
        let end = bytes.count - StateFile.checksumSize
        guard bytes.count <= StateFile.maxSize, end >= StateFile.magic.count,
            bytes.starts(with: StateFile.magic),
            bytes.withUnsafeBytes({ CRC32C.of(UnsafeRawBufferPointer(rebasing: $0[..<end])) == $0.word(end) })
        else { throw .corrupted(path: path, offset: 0, "it does not match its checksum") }
        return SharedBytes(bytes).slice(StateFile.magic.count..<end)
    }

    /// Replaces the content and returns once that is durable. Content that is too large is not written.
    public func write(_ content: [UInt8]) throws(StorageError) {
        var writer = ByteWriter(capacity: content.count + 16)
        writer.put(bytes: StateFile.magic)
        writer.put(bytes: content)
        writer.put(u32: writer.bytes.withUnsafeBytes(CRC32C.of))
        guard writer.bytes.count <= StateFile.maxSize else { return }
        try AtomicFile.write(writer.bytes, to: path, disk: disk)
    }
}
