import Bytes
import Glibc

/// Files as tests want them: whole, without questions.
public enum TestFile {
    /// Bytes of the largest file that a test reads: a database.
    private static let limit = 1 << 30

    /// Whether there is a file or directory of this name.
    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// A file's bytes.
    public static func bytes(_ path: String) throws(FileContent.Failure) -> [UInt8] {
        try FileContent.read(path, limit: limit)
    }

    /// A file's bytes as text.
    public static func text(_ path: String) throws(FileContent.Failure) -> String {
        String(decoding: try bytes(path), as: UTF8.self)
    }

    /// Makes a file, or puts another in its place.
    public static func write(_ bytes: [UInt8], to path: String) throws(FileContent.Failure) {
        unlink(path)
        try FileContent.create(path, bytes)
    }

    /// Makes a file, or puts another in its place.
    public static func write(_ text: String, to path: String) throws(FileContent.Failure) {
        try write(Array(text.utf8), to: path)
    }

    /// Whether this is a directory, or a link to one.
    public static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Removes a file, or a directory with all that is in it. It must be there.
    public static func remove(_ path: String) throws(DirectoryTree.Failure) { try DirectoryTree.remove(path) }

    /// Gives a file or directory another name.
    public static func rename(_ path: String, to target: String) throws(FileContent.Failure) {
        guard Glibc.rename(path, target) == 0 else { throw .system(errno) }
    }

    /// Copies a file, or a directory with all that is in it, into one that may be there.
    public static func copy(_ path: String, to target: String) throws {
        guard isDirectory(path) else { return try write(bytes(path), to: target) }
        try DirectoryTree.create(target)
        for name in try names(in: path) { try copy("\(path)/\(name)", to: "\(target)/\(name)") }
    }

    /// The names in a directory, sorted.
    public static func names(in path: String) throws(DirectoryTree.Failure) -> [String] {
        (try DirectoryTree.names(in: path) ?? []).map { String(decoding: $0, as: UTF8.self) }.sorted()
    }
}
