import Glibc

/// Creates, lists and deletes directory trees. Every call blocks.
public enum DirectoryTree {
    /// The path that failed, and why.
    public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// The directory, or a file in it.
        public let path: String
        /// The system's `errno`.
        public let code: Int32

        /// One line, such as `/srv/node: Permission denied`.
        public var description: String { "\(path): \(SystemErrorText.of(code))" }
    }

    /// Creates a directory and its missing parents, with the permissions `mode` less the process's umask.
    /// Leaves an existing directory as it is.
    public static func create(_ path: String, mode: mode_t = 0o777) throws(Failure) {
        let bytes = Array(path.utf8)
        for end in 1..<max(bytes.count, 2) + 1 where end >= bytes.count || bytes[end] == UInt8(ascii: "/") {
            let directory = String(decoding: bytes.prefix(end), as: UTF8.self)
            guard mkdir(directory, mode) == 0 || isDirectory(directory) else {
                throw Failure(path: directory, code: errno == EEXIST ? ENOTDIR : errno)
            }
        }
    }

    /// Preserves `errno`.
    private static func isDirectory(_ path: String) -> Bool {
        let code = errno
        defer { errno = code }
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Returns the names in a directory, in no particular order, or nil if the directory does not exist.
    public static func names(in path: String) throws(Failure) -> [[UInt8]]? {
        do throws(Failure) {
            return try entries(cString(path.utf8)).map { $0.dropLast().map { UInt8(bitPattern: $0) } }
        } catch  where error.code == ENOENT {
            return nil
        }
    }

    /// Deletes a directory and everything in it. Deletes links without following them.
    public static func remove(_ path: String) throws(Failure) { try remove(cString(path.utf8)) }

    // File names are bytes, not text. The system's path limit bounds the depth.
    private static func remove(_ path: [CChar]) throws(Failure) {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw failure(path) }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            guard unlink(path) == 0 else { throw failure(path) }
            return
        }
        for name in try entries(path) {
            try remove(path.dropLast() + [CChar(bitPattern: UInt8(ascii: "/"))] + name)
        }
        guard rmdir(path) == 0 else { throw failure(path) }
    }

    /// Returns the names, each NUL-terminated.
    private static func entries(_ path: [CChar]) throws(Failure) -> [[CChar]] {
        guard let directory = opendir(path) else { throw failure(path) }
        defer { closedir(directory) }
        var names: [[CChar]] = []
        while true {
            errno = 0
            guard let entry = readdir(directory) else {
                guard errno == 0 else { throw failure(path) }
                return names
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                bytes.prefix { $0 != 0 }.map { CChar(bitPattern: $0) } + [0]
            }
            if name != cString(".".utf8), name != cString("..".utf8) { names.append(name) }
        }
    }

    private static func cString(_ text: String.UTF8View) -> [CChar] {
        text.map { CChar(bitPattern: $0) } + [0]
    }

    private static func failure(_ path: [CChar]) -> Failure {
        let code = errno
        return Failure(
            path: String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self), code: code)
    }
}
