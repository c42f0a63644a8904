import CShims

/// SQLite's `format`, `printf`, `quote` and `soundex`, charged for what they read and write. SQLite limits the size of
/// their results in advance.
enum FormatFunctions {
    static func register(
        on connection: SQLiteConnection, _ meter: CostMeter, _ builtins: BuiltinFunctions
    ) throws(SQLiteFailure) {
        for name in ["format", "printf"] {
            try ScalarFunction.register(name, [-1], on: connection, meter) { call throws(FunctionFailure) in
                try format(call, name, builtins)
            }
        }
        try ScalarFunction.register("quote", 1...1, on: connection, meter) { call throws(FunctionFailure) in
            try call.charge(call.size(0), at: FunctionPrices.written)
            try builtins.answer(call, "quote", charging: FunctionPrices.written)
        }
        try ScalarFunction.register("soundex", 1...1, on: connection, meter) { call throws(FunctionFailure) in
            try call.charge(call.size(0), at: FunctionPrices.read)
            try builtins.answer(call, "soundex")
        }
    }

    private static func format(
        _ call: FunctionCall, _ name: String, _ builtins: BuiltinFunctions
    ) throws(FunctionFailure) {
        guard !call.arguments.isEmpty, call.kind(0) != SQLITE_NULL else { return }
        try call.charge(call.size(0), at: FunctionPrices.format)
        for index in call.arguments.indices.dropFirst() {
            try call.charge(call.size(index), at: FunctionPrices.written)
        }
        let kind = try builtins.answer(call, name, charging: FunctionPrices.written)
        // SQLite's function returns NULL for an empty result as well as for one that is too large.
        if kind == SQLITE_NULL, try builtins.isNull(call, name) { throw .tooBig }
    }
}
