import Bytes
import Glibc

/// An error with a file of the node. `description` is one line that names the file.
public enum StorageError: Error, Equatable, CustomStringConvertible {
    /// A system call failed.
    case system(operation: String, path: String, errno: Int32)
    /// This or another process has the directory open.
    case locked(path: String)
    /// Committed bytes are damaged or missing.
    case corrupted(path: String, offset: Int, String)
    /// The index is damaged, or it contradicts the log.
    case index(path: String, operation: String, String)
    /// The store has dropped the block at this height; its first block is `first`.
    case pruned(height: Int64, first: Int64)
    /// The block does not follow the tip or is too large for a record.
    case refused(String)
    /// The vote contradicts an earlier one.
    case voteRefused(String)
    /// The caller asked to stop opening the store. The next opening begins anew.
    case interrupted
    /// The store is closed.
    case closed

    /// One line.
    public var description: String {
        switch self {
        case .system(let operation, let path, let number):
            "cannot \(operation) \(path): \(SystemErrorText.of(number))"
        case .locked(let path):
            "\(path) is locked: another process is using its directory"
        case .corrupted(let path, let offset, let what):
            "\(path) is damaged at offset \(offset): \(what)"
        case .index(let path, let operation, let what):
            "block index \(path): cannot \(operation): \(what)"
        case .pruned(let height, let first):
            "block \(height) is pruned: this node keeps the blocks from \(first) on"
        case .refused(let why): "cannot append the block: \(why)"
        case .voteRefused(let why): "cannot record the vote \(why)"
        case .interrupted: "opening the block store was interrupted"
        case .closed: "the block store is closed"
        }
    }
}
