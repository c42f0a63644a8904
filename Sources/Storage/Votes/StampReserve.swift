import Bytes
import CShims
import Synchronization

/// The highest stamp that a leader may already have used for a proposal, kept beside its votes. After a restart the
/// leader starts above it (docs/storage.md, "Stamps").
///
/// One file of two copies, replaced as a whole. Safe on any thread; `record` waits for an fsync, so call it on the
/// storage worker.
public final class StampReserve: Sendable {
    private let path: String
    private let disk: any Disk
    private let state: Mutex<Int64>

    /// The size of a copy: magic, stamp, checksum.
    private static let copyBytes = 16
    private static let magic = [UInt8]("APST".utf8)

    /// Reads the file `STAMP` in a directory, if it exists.
    init(directory: String, disk: any Disk) throws(StorageError) {
        path = directory + "/STAMP"
        self.disk = disk
        var stamp: Int64 = 0
        if let bytes = try AtomicFile.read(path, limit: 2 * Self.copyBytes + 1, disk: disk) {
            guard bytes.count == 2 * Self.copyBytes,
                let copy = Self.decode(bytes.prefix(Self.copyBytes))
                    ?? Self.decode(bytes.suffix(Self.copyBytes))
            else {
                throw .corrupted(
                    path: path, offset: 0,
                    "neither copy matches its checksum; remove the file if the clock of this node is right")
            }
            stamp = copy
        }
        state = Mutex(stamp)
    }

    /// The highest reserved stamp, in milliseconds; 0 if none was reserved.
    public var end: Int64 { state.withLock { $0 } }

    /// Durably reserves the stamps up to `end`, before any of them is used. After an error the old reservation holds.
    public func record(_ end: Int64) throws(StorageError) {
        assert(apus_may_block(), "stamps are reserved on a reactor's thread")
        try state.withLock { state throws(StorageError) in
            guard end != state else { return }
            let copy = Self.encode(end)
            try AtomicFile.write(copy + copy, to: path, disk: disk)
            state = end
        }
    }

    private static func encode(_ stamp: Int64) -> [UInt8] {
        var writer = ByteWriter(capacity: copyBytes)
        writer.put(bytes: magic)
        writer.put(i64: stamp)
        writer.putChecksum()
        return writer.bytes
    }

    private static func decode(_ copy: ArraySlice<UInt8>) -> Int64? {
        guard var reader = ByteReader(record: Array(copy), size: copyBytes, magic: magic),
            let stamp = try? reader.i64(), stamp >= 0
        else { return nil }
        return stamp
    }
}
