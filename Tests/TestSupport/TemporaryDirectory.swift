import Bytes
import Glibc

/// A directory of a test's own, removed with its last reference.
public final class TemporaryDirectory: Sendable {
    /// Where it is.
    public let path: String

    /// An empty directory. In memory where there is such a place: tests synchronize some ten thousand times.
    public init() throws(FileContent.Failure) {
        let parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(parent)/apus-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw .system(errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A copy of another directory as it is now: what a killed process would leave.
    public convenience init(copying directory: String) throws {
        try self.init()
        try TestFile.copy(directory, to: path)
    }

    deinit { try? DirectoryTree.remove(path) }
}
