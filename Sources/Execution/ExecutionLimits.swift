import CShims

/// What bounds this node's use of SQLite beside the protocol's figures (`CostModel`); each node may have its own.
enum ExecutionLimits {
    /// Instructions between two looks at a query's deadline; few, as one instruction may handle large values.
    static let queryStride = 100
    /// Prepared statements that are kept.
    static let cachedStatements = 256
    /// Accounts whose committed state is kept in memory.
    static let cachedAccounts = 65_536
    /// How long a connection waits for a lock that another process holds, in milliseconds.
    static let busyMilliseconds: Int32 = 5_000
    /// Pages of 4 KiB that a connection for blocks keeps in memory: 8 MiB.
    static let cachePages: UInt32 = 2_048
    /// Pages of rows that are sorted in memory at once; what is more is merged. Every comparison is charged, so that this
    /// length decides a cost. SQLite would take the page cache's size, on which no cost may depend.
    static let sortPages = cachePages
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
    static let sqlite: [(Int32, Int)] = [
        (SQLITE_LIMIT_LENGTH, CostModel.value.value),
        (SQLITE_LIMIT_SQL_LENGTH, CostModel.statementBytes.value),
        (SQLITE_LIMIT_COLUMN, CostModel.columns.value),
        (SQLITE_LIMIT_EXPR_DEPTH, CostModel.expressionDepth.value),
        (SQLITE_LIMIT_COMPOUND_SELECT, CostModel.compoundTerms.value),
        // No limit of instructions: whether SQLite meets one depends on where its memory came from, and it answers "out
        // of memory". `CostModel.expandedTokens` bounds them.
        (SQLITE_LIMIT_VDBE_OP, Int(Int32.max)), (SQLITE_LIMIT_FUNCTION_ARG, CostModel.arguments.value),
        (SQLITE_LIMIT_ATTACHED, 0), (SQLITE_LIMIT_LIKE_PATTERN_LENGTH, CostModel.pattern.value),
        (SQLITE_LIMIT_VARIABLE_NUMBER, CostModel.parameters.value),
        (SQLITE_LIMIT_TRIGGER_DEPTH, CostModel.triggerDepth.value), (SQLITE_LIMIT_WORKER_THREADS, 0),
    ]
}
