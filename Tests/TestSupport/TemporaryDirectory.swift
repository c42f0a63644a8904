import Bytes
import Glibc

/// A test's own directory, removed with the last reference.
public final class TemporaryDirectory: Sendable {
    /// The directory's path.
    public let path: String

    /// Creates an empty directory, in memory if possible, because tests call fsync some ten thousand times.
    public init() throws(FileContent.Failure) {
        let parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(parent)/apus-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw .system(errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Copies another directory as it is now, as a killed process would leave it.
    public convenience init(copying directory: String) throws {
        try self.init()
        try TestFile.copy(directory, to: path)
    }

    deinit { try? DirectoryTree.remove(path) }
}
