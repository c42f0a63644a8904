import Glibc

/// Reads and writes whole files of bounded size: configuration, genesis, address book, input of commands.
/// Every call blocks.
public enum FileContent {
    /// The reason a read or write failed.
    public enum Failure: Error, CustomStringConvertible {
        /// A system call failed with this `errno`.
        case system(Int32)
        /// The path is a directory, a pipe or a device.
        case notRegular
        /// The file exceeds the caller's limit, in bytes.
        case tooLarge(limit: Int)

        /// One line, without the path.
        public var description: String {
            switch self {
            case .system(let code): SystemErrorText.of(code)
            case .notRegular: "not a regular file"
            case .tooLarge(let limit): "more than \(limit) bytes"
            }
        }
    }

    /// The size of one read, in bytes.
    private static let pieceSize = 64 << 10

    /// Returns the bytes of the regular file at `path`, at most `limit` of them. Reads to the end of the file
    /// as it then is, even if it grows meanwhile or reports no size (procfs).
    public static func read(_ path: String, limit: Int) throws(Failure) -> [UInt8] {
        var bytes: [UInt8] = []
        try readPieces(path, limit: limit) { piece in
            bytes += piece
            return true
        }
        return bytes
    }

    /// Reads like `read`, but passes the bytes to `body` in pieces until it returns false.
    public static func readPieces(
        _ path: String, limit: Int, _ body: (UnsafeRawBufferPointer) -> Bool
    ) throws(Failure) {
        // Non-blocking, because opening a named pipe would wait for a writer.
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw .system(errno) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .system(errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notRegular }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceSize, alignment: 1)
        defer { buffer.deallocate() }
        guard status.st_size <= limit else { throw .tooLarge(limit: limit) }
        var total = 0
        while true {
            let count = Glibc.read(file, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .system(errno) }
            total += count
            guard total <= limit else { throw .tooLarge(limit: limit) }
            guard count > 0, body(UnsafeRawBufferPointer(rebasing: buffer[..<count])) else { return }
        }
    }

    /// Creates a file with the permissions `mode` less the process's umask, and returns once it is synced to
    /// disk. Fails if the file exists. Removes a file that could not be written whole.
    public static func create(
        _ path: String, _ content: some ByteSource, mode: mode_t = 0o644
    ) throws(Failure) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard file >= 0 else { throw .system(errno) }
        let code = content.withUnsafeBytes { write($0, to: file) } ?? (fsync(file) == 0 ? nil : errno)
        close(file)
        if let code {
            unlink(path)
            throw .system(code)
        }
    }

    /// Replaces or creates the file at `path`: writes `path.new`, syncs it and renames it, so the file always
    /// has either its old or its new content.
    public static func replace(
        _ path: String, _ content: some ByteSource, mode: mode_t = 0o644
    ) throws(Failure) {
        let temporary = path + ".new"
        try remove(temporary)
        try create(temporary, content, mode: mode)
        guard rename(temporary, path) == 0 else {
            let code = errno
            unlink(temporary)
            throw .system(code)
        }
        syncFolder(of: path)
    }

    /// Removes the file at `path` if it exists.
    public static func remove(_ path: String) throws(Failure) {
        guard unlink(path) == 0 || errno == ENOENT else { throw .system(errno) }
    }

    /// Makes a rename durable. On a file system that cannot sync directories, the file is still whole.
    private static func syncFolder(of path: String) {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    /// Writes all bytes. Returns nil, or the `errno` of the failure.
    private static func write(_ bytes: UnsafeRawBufferPointer, to file: Int32) -> Int32? {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Glibc.write(file, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count < 0 ? errno : EIO }
            rest = rest.dropFirst(count)
        }
        return nil
    }
}
