import CShims

/// Why one of our functions has no result. The texts are part of the protocol, because they become results of
/// transactions.
enum FunctionFailure: Error {
    /// The statement has spent its budget.
    case spent
    /// A value would exceed the maximum size.
    case tooBig
    /// The machine is out of memory.
    case outOfMemory
    /// The arguments are invalid; in SQLite's words where it has any.
    case refused(String)

    /// SQLite's result code.
    var code: Int32 {
        switch self {
        case .spent, .refused: SQLITE_ERROR
        case .tooBig: SQLITE_TOOBIG
        case .outOfMemory: SQLITE_NOMEM
        }
    }

    /// The reason, unless the code implies it.
    var message: String? {
        switch self {
        case .spent: "the budget is used up"
        case .refused(let reason): reason
        case .tooBig, .outOfMemory: nil
        }
    }

    /// Makes the calling statement fail.
    func report(to context: OpaquePointer?) {
        switch self {
        case .spent, .refused: (message ?? "").withCString { sqlite3_result_error(context, $0, -1) }
        case .tooBig: sqlite3_result_error_toobig(context)
        case .outOfMemory: sqlite3_result_error_nomem(context)
        }
    }
}
