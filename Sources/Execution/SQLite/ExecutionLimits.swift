import CShims

/// The limits of this node's use of SQLite beyond the protocol's (`CostModel`).
enum ExecutionLimits {
    /// The number of instructions between checks of a query's deadline; small, because an instruction may process large
    /// values.
    static let queryStride = 100
    /// The number of compiled statements in the cache.
    static let cachedStatements = 256
    /// The number of accounts in the cache.
    static let cachedAccounts = 65_536
    /// How long a connection waits for the lock of another process, in milliseconds.
    static let busyMilliseconds: Int32 = 5_000
    /// The number of pages of rows that SQLite sorts in memory before it merges: 8 MiB. It affects cost, because every
    /// comparison is charged. By default SQLite uses the size of the page cache, on which no cost may depend.
    static let sortPages: UInt32 = 2_048
    /// The size of the write-ahead log at which it is checkpointed, in pages: 16 MiB.
    static let walPages = 4_096
    /// The size of the write-ahead log at which a commit waits for readers that keep it from restarting, in pages: 48
    /// MiB, so that the log stays within 64 MiB after another block of `walPages`.
    static let crowdedWALPages = 3 * walPages
    /// How long such a commit waits: longer than any query reads (`QueryLimits.time`).
    static let readerPatience = Duration.seconds(6)
    /// The pause between checks whether readers have finished.
    static let readerPauseMicroseconds: UInt32 = 2_000

    /// The `sqlite3_limit` settings of every connection, which limit the memory and stack for compiling a statement.
    static let sqlite: [(Int32, Int)] = [
        (SQLITE_LIMIT_LENGTH, CostModel.value.value),
        (SQLITE_LIMIT_SQL_LENGTH, CostModel.statementBytes.value),
        (SQLITE_LIMIT_COLUMN, CostModel.columns.value),
        (SQLITE_LIMIT_EXPR_DEPTH, CostModel.expressionDepth.value),
        (SQLITE_LIMIT_COMPOUND_SELECT, CostModel.compoundTerms.value),
        // No limit on instructions: whether SQLite hits one depends on its allocator, and it then reports "out of
        // memory". `CostModel.expandedTokens` limits them.
        (SQLITE_LIMIT_VDBE_OP, Int(Int32.max)), (SQLITE_LIMIT_FUNCTION_ARG, CostModel.arguments.value),
        (SQLITE_LIMIT_ATTACHED, 0), (SQLITE_LIMIT_LIKE_PATTERN_LENGTH, CostModel.pattern.value),
        (SQLITE_LIMIT_VARIABLE_NUMBER, CostModel.parameters.value),
        (SQLITE_LIMIT_TRIGGER_DEPTH, CostModel.triggerDepth.value), (SQLITE_LIMIT_WORKER_THREADS, 0),
    ]
}
