import CShims

/// SQLite's own functions, for those of ours that only charge and then let SQLite's work: it runs them on a database in
/// memory of its own, where nothing stands in their place.
final class BuiltinFunctions {
    /// A function with so many arguments.
    private struct Call: Hashable {
        let name: String
        let count: Int
    }

    /// Prepared statements that are kept: more than there are functions.
    private static let statementCount = 64

    private var connection: SQLiteConnection?
    private var statements: [Call: SQLiteStatement] = [:]
    /// The arguments of the call that runs.
    private var arguments = UnsafeMutableBufferPointer<OpaquePointer?>(start: nil, count: 0)

    /// Answers a call with the result of SQLite's function of that name.
    func answer(_ call: FunctionCall, _ name: String) throws(FunctionFailure) {
        try call.charge(FunctionPrices.call.value)
        do throws(SQLiteFailure) {
            let statement = try statement(Call(name: name, count: call.arguments.count))
            defer { statement.rewind() }
            guard try step(statement, with: call.arguments, limit: call.limit) else { return }
            // Its subtype comes along.
            sqlite3_result_value(call.context, sqlite3_column_value(statement.handle, 0))
        } catch {
            throw Self.functionFailure(error)
        }
    }

    /// Prepares a statement in which `apus_argument(i)` stands for argument i of `step`.
    func prepare(_ sql: String) throws(SQLiteFailure) -> SQLiteStatement {
        let connection: SQLiteConnection
        if let known = self.connection {
            connection = known
        } else {
            connection = try connect()
            self.connection = connection
        }
        limit(CostModel.value.value)
        return try connection.prepare(sql, isPersistent: true)
    }

    /// Goes on to a statement's next row, whose values may have `limit` bytes; false at the end.
    func step(
        _ statement: SQLiteStatement, with arguments: UnsafeMutableBufferPointer<OpaquePointer?>, limit: Int
    ) throws(SQLiteFailure) -> Bool {
        self.arguments = arguments
        defer { self.arguments = UnsafeMutableBufferPointer(start: nil, count: 0) }
        self.limit(limit)
        return try statement.step()
    }

    /// What a failure there is here.
    static func functionFailure(_ failure: SQLiteFailure) -> FunctionFailure {
        switch failure.primaryCode {
        case SQLITE_TOOBIG: .tooBig
        case SQLITE_NOMEM: .outOfMemory
        default: .refused(failure.message)
        }
    }

    private func limit(_ bytes: Int) {
        sqlite3_limit(connection?.handle, SQLITE_LIMIT_LENGTH, Int32(clamping: bytes))
    }

    private func statement(_ call: Call) throws(SQLiteFailure) -> SQLiteStatement {
        if let known = statements[call] { return known }
        if statements.count >= Self.statementCount { statements = [:] }
        let arguments = (0..<call.count).map { "apus_argument(\($0))" }.joined(separator: ", ")
        let statement = try prepare("SELECT \"\(call.name)\"(\(arguments))")
        statements[call] = statement
        return statement
    }

    private func connect() throws(SQLiteFailure) -> SQLiteConnection {
        let connection = try SQLiteConnection(path: ":memory:", access: .readWrite)
        try connection.check(
            sqlite3_create_function_v2(
                connection.handle, "apus_argument", 1, SQLITE_UTF8, Unmanaged.passUnretained(self).toOpaque(),
                { context, _, index in
                    guard let functions = sqlite3_user_data(context) else { return }
                    let arguments = Unmanaged<BuiltinFunctions>.fromOpaque(functions).takeUnretainedValue()
                        .arguments
                    let index = Int(sqlite3_value_int(index?[0]))
                    guard arguments.indices.contains(index) else { return }
                    sqlite3_result_value(context, arguments[index])
                }, nil, nil, nil))
        return connection
    }
}
