import Glibc

/// Files that are read or written in one go, of a bounded size: configuration, genesis, address book, what a command is
/// given. Everything blocks.
public enum FileContent {
    /// Why a file was not read or written.
    public enum Failure: Error, CustomStringConvertible {
        /// What the system says.
        case system(Int32)
        /// A folder, a pipe or a device.
        case notRegular
        /// More bytes than asked for.
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

    /// Bytes that are read at once.
    private static let pieceSize = 64 << 10

    /// The bytes of the regular file at `path`, at most `limit` of them. A file that grows meanwhile, or that does not
    /// know its size (as in procfs), is read to where its end is then.
    public static func read(_ path: String, limit: Int) throws(Failure) -> [UInt8] {
        var bytes: [UInt8] = []
        try readPieces(path, limit: limit) { piece in
            bytes += piece
            return true
        }
        return bytes
    }

    /// Like `read`, but hands the bytes to `body` piece by piece, until that answers false.
    public static func readPieces(
        _ path: String, limit: Int, _ body: (UnsafeRawBufferPointer) -> Bool
    ) throws(Failure) {
        // Not blocking: a named pipe would be waited for.
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

    /// Writes a new file with the permissions `mode` less the process's mask, and has it on disk on return. Replaces
    /// nothing. A file that could not be written whole is removed.
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

    /// Replaces the file at `path`, or makes it: written beside as `path.new`, synced and renamed, so that there is the old
    /// content or the new one at any time.
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

    /// Removes the file at `path`, if there is one.
    public static func remove(_ path: String) throws(Failure) {
        guard unlink(path) == 0 || errno == ENOENT else { throw .system(errno) }
    }

    /// Makes a change of a file's name last. Where a file system cannot sync folders the file is whole all the same.
    private static func syncFolder(of path: String) {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    /// Nil, or the `errno` of what failed.
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
