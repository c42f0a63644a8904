import CShims

/// `LIKE` and `GLOB`, each with its own wildcards.
enum PatternFunctions {
    static func register(on connection: SQLiteConnection, _ meter: CostMeter) throws(SQLiteFailure) {
        try ScalarFunction.register("like", 2...3, on: connection, meter) { call throws(FunctionFailure) in
            try match(call, .like)
        }
        try ScalarFunction.register("glob", 2...2, on: connection, meter) { call throws(FunctionFailure) in
            try match(call, .glob)
        }
    }

    /// Returns to SQLite whether the first argument, a pattern, matches the second.
    private static func match(
        _ call: FunctionCall, _ wildcards: Pattern.Wildcards
    ) throws(FunctionFailure) {
        // Debian builds SQLite with SQLITE_LIKE_DOESNT_MATCH_BLOBS.
        guard call.kind(0) != SQLITE_BLOB, call.kind(1) != SQLITE_BLOB else {
            return sqlite3_result_int(call.context, 0)
        }
        let pattern = try call.bytes(0)
        guard pattern?.count ?? 0 <= CostModel.pattern.value else {
            throw .refused("LIKE or GLOB pattern too complex")
        }
        var wildcards = wildcards
        if call.arguments.count == 3 {
            guard let escape = try call.bytes(2) else { return }
            var cursor = UTF8Cursor(escape)
            let character = cursor.read()
            guard character != 0, cursor.isAtEnd else {
                throw .refused("ESCAPE expression must be a single character")
            }
            wildcards = wildcards.escaped(by: character)
        }
        guard let pattern, let text = try call.bytes(1) else { return }
        var run = Pattern(pattern, text, wildcards, call)
        sqlite3_result_int(call.context, try run.matches() ? 1 : 0)
    }
}
