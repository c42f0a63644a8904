import CShims

/// A function of ours in the place of SQLite's of the same name (https://sqlite.org/c3ref/create_function.html): the same
/// results, but it charges what it costs before it works.
final class ScalarFunction {
    /// What a function does with a call.
    typealias Body = (FunctionCall) throws(FunctionFailure) -> Void

    /// As SQLite's own have them, so that what the schema calls is the same for whoever reads it with SQLite's.
    static let flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS
    /// As SQLite's JSON functions have them: views, checks, defaults and indexes may not call these.
    static let jsonFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC

    private let meter: CostMeter
    private let body: Body

    private init(_ meter: CostMeter, _ body: @escaping Body) {
        self.meter = meter
        self.body = body
    }

    /// Registers a function for these numbers of arguments; -1 is for any.
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
