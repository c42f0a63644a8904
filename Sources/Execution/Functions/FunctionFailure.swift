import CShims

/// Why a function of ours has no result.
enum FunctionFailure: Error {
    /// The statement's budget is used up.
    case spent
    /// A value would be longer than values may be.
    case tooBig
    /// The machine has no memory.
    case outOfMemory
    /// The arguments are at fault: SQLite's words, where it has them.
    case refused(String)

    /// SQLite's result code.
    var code: Int32 {
        switch self {
        case .spent, .refused: SQLITE_ERROR
        case .tooBig: SQLITE_TOOBIG
        case .outOfMemory: SQLITE_NOMEM
        }
    }

    /// The reason, where the code does not say it.
    var message: String? {
        switch self {
        case .spent: "the budget is used up"
        case .refused(let reason): reason
        case .tooBig, .outOfMemory: nil
        }
    }

    /// Fails the statement that calls.
    func report(to context: OpaquePointer?) {
        switch self {
        case .spent, .refused: (message ?? "").withCString { sqlite3_result_error(context, $0, -1) }
        case .tooBig: sqlite3_result_error_toobig(context)
        case .outOfMemory: sqlite3_result_error_nomem(context)
        }
    }
}
