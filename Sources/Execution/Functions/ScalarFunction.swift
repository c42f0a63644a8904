import CShims

/// A function that replaces SQLite's of the same name (https://sqlite.org/c3ref/create_function.html). It returns the
/// same results but charges for its work in advance.
final class ScalarFunction {
    /// The implementation of a function.
    typealias Body = (FunctionCall) throws(FunctionFailure) -> Void

    /// The flags of SQLite's own functions, so that a schema that calls ours also works with SQLite's.
    static let flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS
    /// The flags of SQLite's JSON functions, which views, checks, defaults and indexes may not call.
    static let jsonFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC

    private let meter: CostMeter
    private let body: Body

    private init(_ meter: CostMeter, _ body: @escaping Body) {
        self.meter = meter
        self.body = body
    }

    /// Registers a function for each number of arguments in `counts`; -1 stands for any number.
    static func register(
        _ name: String, _ counts: some Sequence<Int32>, on connection: SQLiteConnection, _ meter: CostMeter,
        flags: Int32 = flags, _ body: @escaping Body
    ) throws(SQLiteFailure) {
        for count in counts {
            let function = Unmanaged.passRetained(ScalarFunction(meter, body)).toOpaque()
            try connection.check(
                sqlite3_create_function_v2(
                    connection.handle, name, count, flags, function,
                    { context, count, arguments in
                        guard let function = sqlite3_user_data(context) else { return }
                        Unmanaged<ScalarFunction>.fromOpaque(function).takeUnretainedValue()
                            .run(context, count, arguments)
                    }, nil, nil,
                    { if let function = $0 { Unmanaged<ScalarFunction>.fromOpaque(function).release() } }))
        }
    }

    private func run(
        _ context: OpaquePointer?, _ count: Int32, _ arguments: UnsafeMutablePointer<OpaquePointer?>?
    ) {
        do {
            try body(FunctionCall(context, count, arguments, meter))
        } catch {
            error.report(to: context)
        }
    }
}
