import Bytes
import CShims
import Synchronization

/// Up to which stamp a leader may have proposed blocks, kept beside its votes: after a restart it begins above
/// (docs/storage.md, "Stamps").
///
/// One file of two copies, replaced whole. Safe on any thread; `record` waits for the device, so call it on the storage
/// worker.
public final class StampReserve: Sendable {
    private let path: String
    private let disk: any Disk
    private let state: Mutex<Int64>

    /// Bytes of a copy: magic, stamp, checksum.
    private static let copyBytes = 16
    private static let magic: UInt32 = 0x5453_5041

    /// Reads the file `STAMP` in a directory, if it is there.
    init(directory: String, disk: any Disk) throws(StorageError) {
        path = directory + "/STAMP"
        self.disk = disk
        var stamp: Int64 = 0
        if disk.exists(path) {
            let file = try disk.open(path, .read)
            let bytes = try file.read(at: 0, count: 2 * Self.copyBytes + 1)
            guard bytes.count == 2 * Self.copyBytes,
                let copy = Self.decode(bytes.prefix(Self.copyBytes))
                    ?? Self.decode(bytes.suffix(Self.copyBytes))
            else {
                throw .corrupted(
                    path: path, offset: 0,
                    "neither copy matches its checksum; a leader whose clock is right may remove the file")
            }
            stamp = copy
        }
        state = Mutex(stamp)
    }

    /// Stamps up to this one, ms, may have been used; 0 when none was.
    public var end: Int64 { state.withLock { $0 } }

    /// Puts another end on the device before a stamp up to it is used. After an error the one before holds.
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
        writer.put(u32: magic)
        writer.put(i64: stamp)
        writer.put(u32: writer.bytes.withUnsafeBytes(CRC32C.of))
        return writer.bytes
    }

    private static func decode(_ copy: ArraySlice<UInt8>) -> Int64? {
        var reader = ByteReader(Array(copy))
        guard (try? reader.u32()) == magic, let stamp = try? reader.i64(), stamp >= 0,
            encode(stamp) == Array(copy)
        else { return nil }
        return stamp
    }
}
