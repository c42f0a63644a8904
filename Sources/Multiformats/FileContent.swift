import Glibc

/// Reads whole files of a bounded size: configuration, genesis, address book. Blocks.
public enum FileContent {
    /// Why a file was not read.
    public enum Failure: Error, CustomStringConvertible {
        /// What the system says.
        case system(Int32)
        /// A folder, a pipe or a device.
        case notRegular
        /// More bytes than asked for.
        case tooLarge(limit: Int)
        /// Longer than it was a moment ago.
        case changing

        /// One line, without the path.
        public var description: String {
            switch self {
            case .system(let code): String(cString: strerror(code))
            case .notRegular: "not a regular file"
            case .tooLarge(let limit): "more than \(limit) bytes"
            case .changing: "changes while it is read"
            }
        }
    }

    /// The bytes of the regular file at `path`, at most `limit` of them.
    public static func read(_ path: String, limit: Int) throws(Failure) -> [UInt8] {
        // Not blocking: a named pipe would be waited for.
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw .system(errno) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .system(errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notRegular }
        guard status.st_size <= limit else { throw .tooLarge(limit: limit) }
        // A byte more than there seem to be tells whether the file has grown.
        let room = Int(status.st_size) + 1
        var code: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            while count < room, let base = buffer.baseAddress {
                let read = Glibc.read(file, base + count, room - count)
                if read < 0, errno == EINTR { continue }
                if read < 0 { code = errno }
                guard read > 0 else { return }
                count += read
            }
        }
        guard code == 0 else { throw .system(code) }
        guard bytes.count < room else { throw .changing }
        return bytes
    }
}
