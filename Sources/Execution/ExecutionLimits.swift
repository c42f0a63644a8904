import CShims

/// What bounds a transaction's statement. All nodes of a network must share these figures: a statement that
/// stops on one and runs on another parts them.
enum ExecutionLimits {
    /// Instructions of SQLite's virtual machine that a transaction's statement may run; about a second.
    static let statementInstructions = 10_000_000
    /// Instructions between two looks at the budget.
    static let statementStride: Int32 = 1_000
    /// Instructions between two looks at a query's deadline; few, as one instruction may handle `valueBytes`.
    static let queryStride: Int32 = 100
    /// Bytes of a text, a blob or a row: somewhat more than what a block of the default size can carry.
    static let valueBytes: Int32 = 8 * 1024 * 1024
    /// Bytes of a statement's text.
    static let statementBytes = 1_000_000
    /// Tokens of a statement with all views and common table expressions in their places; see `ExpandedSize`. SQLite
    /// takes some hundred bytes for each and about a microsecond.
    static let expandedTokens = 100_000
    /// Tokens of one view or table in that way: several uses fit into a statement.
    static let objectTokens = 20_000
    /// Tokens of all tables, indexes and views in that way: SQLite reads them all when one of them is altered.
    static let schemaTokens = 200_000
    /// Columns of a table, a view or a result.
    static let columns = 500
    /// Pending requests about validators: anybody may ask to join, so they must end somewhere.
    static let validatorRequests = 1_000
    /// Tables, indexes and views that a database may hold: all are checked after each schema change.
    static let schemaObjects: Int64 = 2_000
    /// Prepared statements that are kept.
    static let cachedStatements = 256
    /// Accounts whose committed state is kept in memory.
    static let cachedAccounts = 65_536
    /// How long a connection waits for a lock that another process holds, in milliseconds.
    static let busyMilliseconds: Int32 = 5_000
    /// Pages in the write-ahead log before it is copied back: 16 MiB.
    static let walPages = 4_096
    /// Pages in the write-ahead log at which a commit waits for the readers that keep it from beginning anew: 48 MiB, so
    /// that a block of `walPages` more stays within 64 MiB.
    static let crowdedWALPages = 3 * walPages
    /// How long such a commit waits: no query reads for longer than `QueryLimits.time`.
    static let readerPatience = Duration.seconds(6)
    /// Between two looks at them.
    static let readerPauseMicroseconds: UInt32 = 2_000

    /// `sqlite3_limit` of every connection. They bound the memory and the stack that preparing may take.
    static let sqlite: [(Int32, Int32)] = [
        (SQLITE_LIMIT_LENGTH, valueBytes), (SQLITE_LIMIT_SQL_LENGTH, Int32(statementBytes)),
        (SQLITE_LIMIT_COLUMN, Int32(columns)), (SQLITE_LIMIT_EXPR_DEPTH, 200),
        (SQLITE_LIMIT_COMPOUND_SELECT, 50),
        // No limit of instructions: whether SQLite meets one depends on where its memory came from, and it answers "out
        // of memory". `expandedTokens` bounds them.
        (SQLITE_LIMIT_VDBE_OP, .max), (SQLITE_LIMIT_FUNCTION_ARG, 100), (SQLITE_LIMIT_ATTACHED, 0),
        (SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000), (SQLITE_LIMIT_VARIABLE_NUMBER, 1_000),
        (SQLITE_LIMIT_TRIGGER_DEPTH, 100), (SQLITE_LIMIT_WORKER_THREADS, 0),
    ]
}
