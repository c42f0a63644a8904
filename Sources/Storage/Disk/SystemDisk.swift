import Crypto
import Glibc
import Metrics

/// The kernel's file system. Calls interrupted by signals are retried.
package final class SystemDisk: Disk {
    /// The default disk.
    package static let shared = SystemDisk()

    fileprivate let calls: DiskCalls

    /// Creates a disk that records the time of each fsync in `synchronizations`.
    package convenience init(timing synchronizations: Histogram) {
        var calls = DiskCalls.system
        calls.synchronize = { descriptor in
            let start = ContinuousClock.now
            defer { synchronizations.record(ContinuousClock.now - start) }
            return fdatasync(descriptor)
        }
        self.init(calls: calls)
    }

    /// Tests pass `calls` that fail like a full or broken disk.
    init(calls: DiskCalls = .system) { self.calls = calls }

    package func open(_ path: String, _ mode: FileMode) throws(StorageError) -> any DiskFile {
        try SystemFile(path, mode, calls)
    }

    package func exists(_ path: String) -> Bool { access(path, F_OK) == 0 || errno != ENOENT }

    package func length(of path: String) throws(StorageError) -> Int {
        var status = stat()
        guard stat(path, &status) == 0 else { throw failure("examine", path) }
        return status.st_size
    }

    package func names(in directory: String) throws(StorageError) -> [String] {
        guard let stream = opendir(directory) else { throw failure("list", directory) }
        defer { closedir(stream) }
        var names: [String] = []
        errno = 0
        while let entry = readdir(stream) {
            names.append(
                withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        guard errno == 0 else { throw failure("list", directory) }
        return names
    }

    package func makeDirectory(_ path: String) throws(StorageError) {
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw failure("make directory", path) }
    }

    package func rename(_ path: String, to target: String) throws(StorageError) {
        guard Glibc.rename(path, target) == 0 else { throw failure("replace", target) }
    }

    package func remove(_ path: String) throws(StorageError) -> Bool {
        if unlink(path) == 0 { return true }
        guard errno == ENOENT else { throw failure("remove", path) }
        return false
    }

    package func synchronizeDirectory(_ path: String) throws(StorageError) {
        try SystemFile(path, .read, .system).synchronize()
    }

    package func lock(_ path: String) throws(StorageError) -> any AnyObject & Sendable {
        try FileLock(SystemFile(path, .createIfMissing, .system))
    }

    package func map(_ path: String, length: Int) throws(StorageError) -> FileMapping {
        let file = try SystemFile(path, .read, .system)
        guard let base = mmap(nil, length, PROT_READ, MAP_SHARED, file.descriptor, 0), base != MAP_FAILED
        else { throw failure("map", path) }
        return KernelMapping(base: UnsafeRawPointer(base), length: length)
    }

    package var mapsFiles: Bool { true }

    package func salt() -> UInt64 {
        SecureRandom.bytes(8).withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    }

    /// Returns the error for a system call that has just failed.
    private func failure(_ operation: String, _ path: String) -> StorageError {
        .system(operation: operation, path: path, errno: errno)
    }
}

/// The system calls that change a file's bytes or what the kernel keeps of them, with the return values and `errno` of those
/// calls.
struct DiskCalls: Sendable {
    var write: @Sendable (Int32, UnsafeBufferPointer<iovec>, Int) -> Int
    var synchronize: @Sendable (Int32) -> Int32
    var truncate: @Sendable (Int32, Int) -> Int32
    /// File, offset, length.
    var forget: @Sendable (Int32, Int, Int) -> Int32 = { posix_fadvise($0, $1, $2, POSIX_FADV_DONTNEED) }

    static let system = DiskCalls(
        write: { pwritev($0, $1.baseAddress, Int32(truncatingIfNeeded: $1.count), $2) },
        synchronize: { fdatasync($0) },
        truncate: { ftruncate($0, $1) })
}

/// A file descriptor.
private final class SystemFile: DiskFile {
    let path: String
    let descriptor: Int32
    private let calls: DiskCalls

    init(_ path: String, _ mode: FileMode, _ calls: DiskCalls) throws(StorageError) {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .readWrite: O_RDWR
            case .createIfMissing: O_RDWR | O_CREAT
            case .createNew: O_RDWR | O_CREAT | O_EXCL
            }
        var descriptor: Int32
        repeat {
            descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o600)
        } while descriptor < 0 && errno == EINTR
        guard descriptor >= 0 else { throw .system(operation: "open", path: path, errno: errno) }
        self.path = path
        self.descriptor = descriptor
        self.calls = calls
    }

    deinit { close(descriptor) }

    func length() throws(StorageError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("examine") }
        return status.st_size
    }

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

    func write(_ pieces: [UnsafeRawBufferPointer], at offset: Int) throws(StorageError) {
        var vector = pieces.filter { !$0.isEmpty }.map {
            iovec(iov_base: UnsafeMutableRawPointer(mutating: $0.baseAddress), iov_len: $0.count)
        }
        var first = 0
        var offset = offset
        while first < vector.count {
            let count = min(vector.count - first, SystemFile.maxPieces)
            var written = vector.withUnsafeBufferPointer { vector in
                calls.write(descriptor, UnsafeBufferPointer(rebasing: vector[first..<first + count]), offset)
            }
            if written < 0 {
                if errno == EINTR { continue }
                throw failure("write")
            }
            // Retrying a write that transfers nothing without an error would loop forever.
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

    /// The maximum number of pieces in one system call: Linux accepts no more.
    private static let maxPieces = 1_024

    func synchronize() throws(StorageError) {
        var result: Int32
        repeat { result = calls.synchronize(descriptor) } while result != 0 && errno == EINTR
        if result != 0 { throw failure("synchronize") }
    }

    func forget(_ range: Range<Int>) {
        let end = range.upperBound & ~(SystemFile.pageSize - 1)
        // The kernel may refuse: then it goes on keeping them.
        if range.lowerBound < end { _ = calls.forget(descriptor, range.lowerBound, end - range.lowerBound) }
    }

    private static let pageSize = Int(getpagesize())

    func truncate(to length: Int) throws(StorageError) {
        var result: Int32
        repeat { result = calls.truncate(descriptor, length) } while result != 0 && errno == EINTR
        if result != 0 { throw failure("truncate") }
    }

    /// Returns the error for a system call that has just failed.
    private func failure(_ operation: String) -> StorageError {
        .system(operation: operation, path: path, errno: errno)
    }
}

/// A lock that the kernel releases when the process ends.
private final class FileLock: Sendable {
    private let file: SystemFile

    init(_ file: SystemFile) throws(StorageError) {
        guard flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            if errno == EWOULDBLOCK { throw .locked(path: file.path) }
            throw .system(operation: "lock", path: file.path, errno: errno)
        }
        self.file = file
    }

    /// Unlocks explicitly, because a child process shares the open file until it calls exec.
    deinit { flock(file.descriptor, LOCK_UN) }
}

private final class KernelMapping: FileMapping, @unchecked Sendable {
    override func releasePages() { madvise(UnsafeMutableRawPointer(mutating: base), length, MADV_DONTNEED) }

    deinit { munmap(UnsafeMutableRawPointer(mutating: base), length) }
}
