/// A failure of an application, as opposed to a transaction's, which gets a result code: trouble with this node's disk
/// or memory, misuse, a refused query, or a block that no node executes.
public enum ExecutionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The database or its directory cannot be created, opened, read or written.
    case unusable(file: String, reason: String)
    /// The file is not an SQLite database, or its pages contradict each other.
    case corrupt(file: String, reason: String)
    /// The database is older than the write-ahead log beside it, as when only the database is restored from a backup.
    case olderThanLog(file: String, height: Int64, logHeight: Int64)
    /// The disk or its quota is full.
    case diskFull(file: String)
    /// The database was created for another genesis.
    case otherGenesis(file: String)
    /// The block exceeds its budget (`CostModel`). Its first `transactions`, at least one, fit. Every node throws the
    /// same.
    case overBudget(transactions: Int)
    /// The application cannot start from the genesis; with field and reason.
    case invalidGenesis(String)
    /// `initialize` has not been called.
    case notInitialized
    /// The call does not fit the state: the block does not follow the tip, or a block is or is not prepared.
    case outOfOrder(String)
    /// The query was refused or failed through its author's mistake.
    case invalidQuery(String)
    /// The query would exceed a limit on rows, values, bytes, time or memory.
    case queryLimit(String)
    /// The queue of queries is full.
    case tooManyQueries
    /// The query process could not be started, or ended before it answered.
    case queryProcess(String)
    /// `close` has been called.
    case closed
    /// The application has no database to query.
    case noDatabase
    /// SQLite failed for another reason, through no fault of a statement.
    case failed(file: String, reason: String)
    /// `stop` has been called.
    case stopped
    /// SQLite undid the blocks prepared before this one together with a statement that exceeds its budget. Execute them again,
    /// and this one only after their commit.
    case undone
    /// A block prepared before this one may have changed the schema, on which the costs of this one would depend. Commit, then
    /// execute this one.
    case commitFirst

    /// Whether retrying cannot help. The other errors depend on the machine and may pass.
    public var isLasting: Bool {
        switch self {
        case .unusable, .diskFull, .failed, .stopped, .undone, .tooManyQueries, .queryProcess: false
        case .corrupt, .olderThanLog, .otherGenesis, .invalidGenesis, .notInitialized, .outOfOrder,
            .invalidQuery, .queryLimit, .closed, .noDatabase, .overBudget, .commitFirst:
            true
        }
    }

    /// Whether the database is corrupt.
    public var isCorruption: Bool {
        if case .corrupt = self { true } else { false }
    }

    /// One line for logs and replies.
    public var description: String {
        switch self {
        case .unusable(let file, let reason): "cannot use database \(file): \(reason)"
        case .corrupt(let file, let reason):
            "database \(file) is corrupt: \(reason); move it away with its -wal and -shm files, and the node rebuilds "
                + "it from the block log"
        case .olderThanLog(let file, let height, let logHeight):
            "database \(file) is at height \(height), but \(file)-wal belongs to height \(logHeight) or later; remove "
                + "\(file)-wal and \(file)-shm, and the node executes the missing blocks again"
        case .diskFull(let file): "no space left for database \(file)"
        case .otherGenesis(let file): "database \(file) belongs to another genesis"
        case .invalidGenesis(let reason): "genesis: \(reason)"
        case .overBudget(let count):
            "the block exceeds its budget: only its first \(count) transactions fit"
        case .notInitialized: "the application has not been initialized"
        case .outOfOrder(let reason): reason
        case .invalidQuery(let reason): reason
        case .queryLimit(let reason): reason
        case .tooManyQueries: "too many queries are waiting: try again later"
        case .queryProcess(let reason): reason
        case .closed: "the application is closed"
        case .noDatabase: "this node's application has no database"
        case .failed(let file, let reason): "database \(file) failed: \(reason)"
        case .stopped: "execution was stopped"
        case .undone: "a statement exceeded its budget, which undid the blocks executed together with its own"
        case .commitFirst: "a block follows a change of the schema that is not committed"
        }
    }

    /// One line for clients, who must not learn the paths of this node's files.
    public var publicDescription: String {
        switch self {
        case .corrupt: "the node's database is corrupt"
        case .unusable, .diskFull, .otherGenesis, .failed: "the node's database is currently unavailable"
        default: description
        }
    }
}
