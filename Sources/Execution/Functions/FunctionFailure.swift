import CShims

/// Why a function of ours has no result.
enum FunctionFailure: Error {
    /// The statement's budget, or the query's time, is used up.
    case spent
    /// A value would be longer than values may be.
    case tooBig
    /// The machine has no memory.
    case outOfMemory
    /// The arguments are at fault: SQLite's words, where it has them.
    case refused(String)

    /// Fails the statement that calls.
    func report(to context: OpaquePointer?) {
        switch self {
        case .spent: Self.report("the budget is used up", to: context)
        case .tooBig: sqlite3_result_error_toobig(context)
        case .outOfMemory: sqlite3_result_error_nomem(context)
        case .refused(let reason): Self.report(reason, to: context)
        }
    }

    private static func report(_ reason: String, to context: OpaquePointer?) {
        reason.withCString { sqlite3_result_error(context, $0, -1) }
    }
}
