import Bytes
import Glibc

/// What can go wrong with the files of a node. `description` is one line that names the file.
public enum StorageError: Error, Equatable, CustomStringConvertible {
    /// The kernel refused: what was tried, on which file, and the error number.
    case system(operation: String, path: String, errno: Int32)
    /// Another process, or this one, has the directory open.
    case locked(path: String)
    /// Bytes that were once written whole are not what they were.
    case corrupted(path: String, offset: Int, String)
    /// LMDB refused.
    case index(path: String, operation: String, String)
    /// The block does not follow the last one, or a record cannot hold it.
    case refused(String)
    /// The vote contradicts one that was given before.
    case voteRefused(String)
    /// The store was closed.
    case closed

    /// One line.
    public var description: String {
        switch self {
        case .system(let operation, let path, let number):
            "cannot \(operation) \(path): \(SystemErrorText.of(number))"
        case .locked(let path):
            "\(path) is locked: another process is using this directory"
        case .corrupted(let path, let offset, let what):
            "\(path) is damaged at offset \(offset): \(what)"
        case .index(let path, let operation, let what):
            "block index \(path): cannot \(operation): \(what)"
        case .refused(let what): "block refused: \(what)"
        case .voteRefused(let what): "vote refused: \(what)"
        case .closed: "the block store is closed"
        }
    }
}
