import Bytes
import Glibc

/// Operations on whole files, for tests.
public enum TestFile {
    /// The maximum size of a file, in bytes: the largest is a database.
    private static let limit = 1 << 30

    /// Returns whether a file or directory exists.
    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Returns a file's bytes.
    public static func bytes(_ path: String) throws(FileContent.Failure) -> [UInt8] {
        try FileContent.read(path, limit: limit)
    }

    /// Returns a file's text.
    public static func text(_ path: String) throws(FileContent.Failure) -> String {
        String(decoding: try bytes(path), as: UTF8.self)
    }

    /// Creates or replaces a file.
    public static func write(_ bytes: [UInt8], to path: String) throws(FileContent.Failure) {
        unlink(path)
        try FileContent.create(path, bytes)
    }

    /// Creates or replaces a file.
    public static func write(_ text: String, to path: String) throws(FileContent.Failure) {
        try write(Array(text.utf8), to: path)
    }

    /// Returns whether a path leads to a directory.
    public static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Removes a file or a directory with its content. Throws if it does not exist.
    public static func remove(_ path: String) throws(DirectoryTree.Failure) { try DirectoryTree.remove(path) }

    /// Renames a file or directory.
    public static func rename(_ path: String, to target: String) throws(FileContent.Failure) {
        guard Glibc.rename(path, target) == 0 else { throw .system(errno) }
    }

    /// Copies a file or a directory with its content. The target may exist.
    public static func copy(_ path: String, to target: String) throws {
        guard isDirectory(path) else { return try write(bytes(path), to: target) }
        try DirectoryTree.create(target)
        for name in try names(in: path) { try copy("\(path)/\(name)", to: "\(target)/\(name)") }
    }

    /// Returns the sorted names in a directory.
    public static func names(in path: String) throws(DirectoryTree.Failure) -> [String] {
        (try DirectoryTree.names(in: path) ?? []).map { String(decoding: $0, as: UTF8.self) }.sorted()
    }
}
