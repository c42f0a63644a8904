import CShims

/// Replaces SQLite's `count` in transactions, as an aggregate and window function. SQLite counts a whole table in one
/// instruction, however many pages it reads; this function takes a few instructions for each row.
enum CountFunction {
    /// Registers `count(*)` and `count(x)`.
    static func register(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        for arguments: Int32 in 0...1 {
            try connection.check(
                sqlite3_create_window_function(
                    connection.handle, "count", arguments, ScalarFunction.flags, nil,
                    { CountFunction.add(1, $0, $1, $2) }, { CountFunction.result($0) },
                    { CountFunction.result($0) }, { CountFunction.add(-1, $0, $1, $2) }, nil))
        }
    }

    /// Adds a row to the window or removes it, unless its argument is NULL.
    private static func add(
        _ step: Int64, _ context: OpaquePointer?, _ count: Int32,
        _ arguments: UnsafeMutablePointer<OpaquePointer?>?
    ) {
        if count > 0, sqlite3_value_type(arguments?[0]) == SQLITE_NULL { return }
        guard let sum = sum(context, Int32(MemoryLayout<Int64>.size)) else {
            return sqlite3_result_error_nomem(context)
        }
        sum.pointee &+= step
    }

    private static func result(_ context: OpaquePointer?) {
        sqlite3_result_int64(context, sum(context, 0)?.pointee ?? 0)
    }

    private static func sum(_ context: OpaquePointer?, _ size: Int32) -> UnsafeMutablePointer<Int64>? {
        sqlite3_aggregate_context(context, size)?.assumingMemoryBound(to: Int64.self)
    }
}
