import Glibc

/// An open file: every call retries after signals, finishes partial transfers and throws a `StorageError` that
/// names the file. Closed when released. Safe on any thread; the caller orders writes.
final class File: Sendable {
    let path: String
    let descriptor: Int32
    private let disk: Disk

    /// How a file is opened.
    enum Mode {
        /// Must exist.
        case read
        /// Must exist.
        case readWrite
        /// Made if missing, mode 0600.
        case createIfMissing
        /// Must not exist, mode 0600.
        case createNew
    }

    init(_ path: String, _ mode: Mode, disk: Disk = .system) throws(StorageError) {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .readWrite: O_RDWR
            case .createIfMissing: O_RDWR | O_CREAT
            case .createNew: O_RDWR | O_CREAT | O_EXCL
            }
        var descriptor: Int32
        repeat { descriptor = open(path, flags | O_CLOEXEC, 0o600) } while descriptor < 0 && errno == EINTR
        guard descriptor >= 0 else { throw .system(operation: "open", path: path, errno: errno) }
        self.path = path
        self.descriptor = descriptor
        self.disk = disk
    }

    deinit { close(descriptor) }

    /// Length in bytes.
    func length() throws(StorageError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("examine") }
        return status.st_size
    }

    /// The `count` bytes at `offset`; fewer at the end of the file.
    func read(at offset: Int, count: Int) throws(StorageError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let result = bytes.withUnsafeMutableBytes { buffer in
                pread(descriptor, buffer.baseAddress.map { $0 + done }, count - done, offset + done)
            }
            if result < 0 {
                if errno == EINTR { continue }
                throw failure("read")
            }
            if result == 0 { break }
            done += result
        }
        bytes.removeLast(count - done)
        return bytes
    }

    /// Writes the pieces one after another from `offset`. On an error some of them may have been written.
    func write(_ pieces: [UnsafeRawBufferPointer], at offset: Int) throws(StorageError) {
        var vector = pieces.filter { !$0.isEmpty }.map {
            iovec(iov_base: UnsafeMutableRawPointer(mutating: $0.baseAddress), iov_len: $0.count)
        }
        var first = 0
        var offset = offset
        while first < vector.count {
            let count = min(vector.count - first, File.maxPieces)
            var written = vector.withUnsafeBufferPointer { vector in
                disk.write(descriptor, UnsafeBufferPointer(rebasing: vector[first..<first + count]), offset)
            }
            if written < 0 {
                if errno == EINTR { continue }
                throw failure("write")
            }
            // A regular file that takes nothing and reports nothing would loop for ever.
            if written == 0 { throw .system(operation: "write", path: path, errno: ENOSPC) }
            offset += written
            while first < vector.count, written >= vector[first].iov_len {
                written -= vector[first].iov_len
                first += 1
            }
            if first < vector.count, written > 0 {
                vector[first].iov_base = vector[first].iov_base.map { $0 + written }
                vector[first].iov_len -= written
            }
        }
    }

    /// Pieces handed to the kernel at once; Linux takes up to 1,024.
    private static let maxPieces = 64

    /// Writes an array at `offset`.
    func write(_ bytes: [UInt8], at offset: Int) throws(StorageError) {
        try bytes.withUnsafeBufferPointer { (bytes) throws(StorageError) in
            try write([UnsafeRawBufferPointer(bytes)], at: offset)
        }
    }

    /// Waits until what was written, and the length, are on the device.
    func synchronize() throws(StorageError) {
        var result: Int32
        repeat { result = disk.synchronize(descriptor) } while result != 0 && errno == EINTR
        if result != 0 { throw failure("synchronize") }
    }

    func truncate(to length: Int) throws(StorageError) {
        var result: Int32
        repeat { result = disk.truncate(descriptor, length) } while result != 0 && errno == EINTR
        if result != 0 { throw failure("truncate") }
    }

    /// The error for what the kernel has just refused.
    private func failure(_ operation: String) -> StorageError {
        .system(operation: operation, path: path, errno: errno)
    }

    /// Makes the names in a directory durable.
    static func synchronizeDirectory(_ path: String) throws(StorageError) {
        try File(path, .read).synchronize()
    }
}

/// The three calls that change a file's bytes, so that tests can make them fail as a full or broken disk does.
/// Each returns what the system call of that name returns and sets `errno`.
struct Disk: Sendable {
    var write: @Sendable (Int32, UnsafeBufferPointer<iovec>, Int) -> Int
    var synchronize: @Sendable (Int32) -> Int32
    var truncate: @Sendable (Int32, Int) -> Int32

    /// The kernel.
    static let system = Disk(
        write: { pwritev($0, $1.baseAddress, Int32(truncatingIfNeeded: $1.count), $2) },
        synchronize: { fdatasync($0) },
        truncate: { ftruncate($0, $1) })
}
