/// Why an application could not do what its node asked of it. One line, naming the file where there is one.
///
/// A transaction that fails is not an error: it gets a result code. These are failures of the node's own disk
/// or memory, misuse, queries that were refused, and blocks that no node executes.
public enum ExecutionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The database or its directory cannot be made, opened, read or written.
    case unusable(file: String, reason: String)
    /// The file is no SQLite database, or its pages contradict each other.
    case corrupt(file: String, reason: String)
    /// The database is older than the write-ahead log beside it: a backup was put back without its own.
    case olderThanLog(file: String, height: Int64, logHeight: Int64)
    /// The disk or its quota is full.
    case diskFull(file: String)
    /// The database was made for another genesis.
    case otherGenesis(file: String)
    /// The block's statements cost more than a block may (`CostModel`): its first `transactions`, at least one, fit. Every
    /// node finds the same.
    case overBudget(transactions: Int)
    /// A genesis that this application cannot start from: field and reason.
    case invalidGenesis(String)
    /// `initialize` has not been called.
    case notInitialized
    /// A call that does not fit the state: a height that does not follow, nothing prepared, something prepared.
    case outOfOrder(String)
    /// The query was refused or failed: its author's mistake.
    case invalidQuery(String)
    /// The query would exceed a limit of rows, bytes, time or memory.
    case queryLimit(String)
    /// So many queries wait already that this one is not taken.
    case tooManyQueries
    /// The process that was to answer the query cannot be had, or ended before it did.
    case queryProcess(String)
    /// `close` has been called.
    case closed
    /// The application has no database to query.
    case noDatabase
    /// SQLite failed in a way that no statement explains.
    case failed(file: String, reason: String)
    /// `stop` has been called.
    case stopped

    /// Whether no later try can end otherwise. The rest depends on the machine, and may pass.
    public var isLasting: Bool {
        switch self {
        case .unusable, .diskFull, .failed, .stopped, .tooManyQueries, .queryProcess: false
        case .corrupt, .olderThanLog, .otherGenesis, .invalidGenesis, .notInitialized, .outOfOrder,
            .invalidQuery,
            .queryLimit,
            .closed, .noDatabase, .overBudget:
            true
        }
    }

    /// Whether the database contradicts itself.
    public var isCorruption: Bool {
        if case .corrupt = self { true } else { false }
    }

    /// One line for logs and replies.
    public var description: String {
        switch self {
        case .unusable(let file, let reason): "cannot use database \(file): \(reason)"
        case .corrupt(let file, let reason):
            "database \(file) is corrupt: \(reason); move it away with its -wal and -shm, and the node executes its "
                + "block log again"
        case .olderThanLog(let file, let height, let logHeight):
            "database \(file) is at height \(height), but \(file)-wal beside it began at \(logHeight): it belongs to "
                + "another state; remove \(file)-wal and \(file)-shm, and the node executes the blocks since again"
        case .diskFull(let file): "no space left for database \(file)"
        case .otherGenesis(let file): "database \(file) belongs to another genesis"
        case .invalidGenesis(let reason): "genesis: \(reason)"
        case .overBudget(let count):
            "the block's statements cost more than a block may: its first \(count) transactions fit"
        case .notInitialized: "the application has not been initialized"
        case .outOfOrder(let reason): reason
        case .invalidQuery(let reason): reason
        case .queryLimit(let reason): reason
        case .tooManyQueries: "too many queries wait: ask again a little later"
        case .queryProcess(let reason): reason
        case .closed: "the application is closed"
        case .noDatabase: "this node's application keeps no database"
        case .failed(let file, let reason): "database \(file) failed: \(reason)"
        case .stopped: "execution was stopped"
        }
    }

    /// One line for somebody who is not to know where this node's files are.
    public var publicDescription: String {
        switch self {
        case .corrupt: "the node's database is corrupt"
        case .unusable, .diskFull, .otherGenesis, .failed: "the node's database cannot be read now"
        default: description
        }
    }
}
