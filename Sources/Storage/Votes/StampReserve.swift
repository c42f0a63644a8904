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

    /// Reads the file `STAMP` in a directory, if it exists.
    init(directory: String, disk: any Disk) throws(StorageError) {
        path = directory + "/STAMP"
        self.disk = disk
        var stamp: Int64 = 0
        if let bytes = try AtomicFile.read(path, limit: 2 * StampCopy.size + 1, disk: disk) {
            guard bytes.count == 2 * StampCopy.size,
                let copy = StampCopy(decoding: Array(bytes.prefix(StampCopy.size)))
                    ?? StampCopy(decoding: Array(bytes.suffix(StampCopy.size)))
            else {
                throw .corrupted(
                    path: path, offset: 0,
                    "neither copy matches its checksum; remove the file if the clock of this node is right")
            }
            stamp = copy.stamp
        }
        state = Mutex(stamp)
    }

    /// The highest reserved stamp, in milliseconds; 0 if none was reserved.
    public var end: Int64 { state.withLock { $0 } }

    /// Durably reserves the stamps up to `end`, before any of them is used. After an error the old reservation holds.
    public func record(_ end: Int64) throws(StorageError) {
        assert(apus_may_block(), "stamps are reserved on a thread that may not wait")
        try state.withLock { state throws(StorageError) in
            guard end != state else { return }
            let copy = StampCopy(stamp: end).encode()
            try AtomicFile.write(copy + copy, to: path, disk: disk)
            state = end
        }
    }
}

/// One of the two copies of a stamp.
private struct StampCopy { let stamp: Int64 }

extension StampCopy: FixedRecord {
    static let size = 16
    static let magic = [UInt8]("APST".utf8)

    init(from reader: inout ByteReader) throws(BytesError) {
        stamp = try reader.i64()
        guard stamp >= 0 else { throw .invalid("a stamp") }
    }

    func write(to writer: inout ByteWriter) { writer.put(i64: stamp) }
}
