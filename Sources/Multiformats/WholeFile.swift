import Glibc

/// Files that are read or written in one go: configuration, genesis, what a command is given. Both block.
public enum WholeFile {
    /// Why a file was not read or written; the caller names the file.
    public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// It has more than `limit` bytes.
        case tooLarge(limit: Int)
        /// The system's `errno`.
        case system(Int32)

        /// One line, such as "No such file or directory".
        public var description: String {
            switch self {
            case .tooLarge(let limit): "larger than \(limit) bytes"
            case .system(let code): String(cString: strerror(code))
            }
        }
    }

    /// Bytes that are read at once.
    private static let pieceSize = 256 << 10

    /// All bytes of the file at `path`, of which there may be `limit`. A file that grows meanwhile, or that does not
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
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .system(errno) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .system(errno) }
        guard status.st_size <= limit else { throw .tooLarge(limit: limit) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceSize, alignment: 1)
        defer { buffer.deallocate() }
        var total = 0
        while true {
            let count = Glibc.read(file, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .system(errno) }
            guard count > 0 else { return }
            total += count
            guard total <= limit else { throw .tooLarge(limit: limit) }
            guard body(UnsafeRawBufferPointer(rebasing: buffer[..<count])) else { return }
        }
    }

    /// Writes a new file with the permissions `mode` less the process's mask. Replaces nothing: `EEXIST`. A file that
    /// could not be written whole is removed.
    public static func create(
        _ path: String, _ content: some ByteSource, mode: mode_t = 0o644
    ) throws(Failure) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard file >= 0 else { throw .system(errno) }
        let failure = content.withUnsafeBytes { writeAll($0, to: file) } ?? (fsync(file) == 0 ? nil : errno)
        close(file)
        if let failure {
            unlink(path)
            throw .system(failure)
        }
    }

    /// Nil, or the `errno` of what failed.
    private static func writeAll(_ bytes: UnsafeRawBufferPointer, to file: Int32) -> Int32? {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = write(file, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count < 0 ? errno : EIO }
            rest = rest.dropFirst(count)
        }
        return nil
    }
}
