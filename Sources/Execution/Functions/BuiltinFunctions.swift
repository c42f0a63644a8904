import CShims

/// SQLite's own functions, for those of ours that charge and then call SQLite's. It runs them on a separate in-memory
/// database, where they are not replaced.
final class BuiltinFunctions {
    /// A call of a function.
    private struct Expression: Hashable {
        let name: String
        /// The number of arguments.
        let count: Int
        /// Whether a letter precedes the first argument.
        var isMarked = false
    }

    /// The number of compiled statements to keep; larger than the number of functions.
    private static let statementCount = 64

    private var connection: SQLiteConnection?
    private var statements: [Expression: SQLiteStatement] = [:]
    /// The arguments of the current call.
    private var arguments = UnsafeMutableBufferPointer<OpaquePointer?>(start: nil, count: 0)

    /// Answers a call with the result of SQLite's function of that name and charges its size at `price`, if given.
    /// Returns the storage class of the result.
    @discardableResult
    func answer(
        _ call: FunctionCall, _ name: String, charging price: CostModel.Figure? = nil
    ) throws(FunctionFailure) -> Int32 {
        var kind = SQLITE_NULL
        try evaluate(Expression(name: name, count: call.arguments.count), call) {
            value throws(FunctionFailure) in
            kind = sqlite3_value_type(value)
            if let price { try call.charge(Int(sqlite3_value_bytes(value)), at: price) }
            // This also copies the subtype.
            sqlite3_result_value(call.context, value)
        }
        return kind
    }

    /// Returns whether SQLite's function returns NULL even when a letter precedes the first argument.
    func isNull(_ call: FunctionCall, _ name: String) throws(FunctionFailure) -> Bool {
        var isNull = false
        let expression = Expression(name: name, count: call.arguments.count, isMarked: true)
        try evaluate(expression, call) { isNull = sqlite3_value_type($0) == SQLITE_NULL }
        return isNull
    }

    private func evaluate(
        _ expression: Expression, _ call: FunctionCall,
        _ body: (OpaquePointer?) throws(FunctionFailure) -> Void
    ) throws(FunctionFailure) {
        try call.charge(FunctionPrices.call.value)
        let statement: SQLiteStatement
        do throws(SQLiteFailure) {
            statement = try self.statement(expression)
            guard try step(statement, with: call.arguments) else { return }
        } catch {
            throw Self.functionFailure(error)
        }
        defer { statement.rewind() }
        try body(sqlite3_column_value(statement.handle, 0))
    }

    /// Compiles a statement in which `apus_argument(i)` returns argument i of `step`.
    func prepare(_ sql: String) throws(SQLiteFailure) -> SQLiteStatement {
        let connection: SQLiteConnection
        if let known = self.connection {
            connection = known
        } else {
            connection = try connect()
            self.connection = connection
        }
        return try connection.prepare(sql, isPersistent: true)
    }

    /// Advances a statement to its next row; returns false at the end. The end and a failure rewind it.
    func step(
        _ statement: SQLiteStatement, with arguments: UnsafeMutableBufferPointer<OpaquePointer?>
    ) throws(SQLiteFailure) -> Bool {
        self.arguments = arguments
        defer { self.arguments = UnsafeMutableBufferPointer(start: nil, count: 0) }
        do throws(SQLiteFailure) {
            if try statement.step() { return true }
        } catch {
            statement.rewind()
            throw error
        }
        statement.rewind()
        return false
    }

    /// Returns a failure of SQLite's function as that of ours.
    static func functionFailure(_ failure: SQLiteFailure) -> FunctionFailure {
        switch failure.primaryCode {
        case SQLITE_TOOBIG: .tooBig
        case SQLITE_NOMEM: .outOfMemory
        default: .refused(failure.message)
        }
    }

    private func statement(_ expression: Expression) throws(SQLiteFailure) -> SQLiteStatement {
        if let known = statements[expression] { return known }
        if statements.count >= Self.statementCount { statements = [:] }
        let arguments = (0..<expression.count).map { "apus_argument(\($0))" }.joined(separator: ", ")
        let mark = expression.isMarked ? "'x' || " : ""
        let statement = try prepare("SELECT \"\(expression.name)\"(\(mark)\(arguments))")
        statements[expression] = statement
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
