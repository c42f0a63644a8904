import Glibc

/// Reads whole files of a bounded size: configuration, genesis, address book. Blocks.
public enum FileContent {
    /// Why a file was not read: one line, without its path.
    public struct Failure: Error, CustomStringConvertible {
        /// What the system says, or what is wrong with the file.
        public let description: String
        /// Whether there is no such file.
        public let isMissing: Bool

        fileprivate init(errno code: Int32) {
            description = String(cString: strerror(code))
            isMissing = code == ENOENT
        }

        fileprivate init(_ description: String) {
            self.description = description
            isMissing = false
        }
    }

    /// The bytes of the regular file at `path`, at most `limit` of them.
    public static func read(_ path: String, limit: Int) throws(Failure) -> [UInt8] {
        // Not blocking: a named pipe would be waited for.
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw Failure(errno: errno) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw Failure(errno: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Failure("not a regular file") }
        guard status.st_size <= limit else { throw Failure("more than \(limit) bytes") }
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
        guard code == 0 else { throw Failure(errno: code) }
        guard bytes.count < room else { throw Failure("changes while it is read") }
        return bytes
    }
}
