import CShims

/// Functions that are SQLite's, charged by what they read and make. SQLite bounds what they make before it makes it.
enum FormatFunctions {
    /// Registers them.
    static func register(
        on connection: SQLiteConnection, _ meter: CostMeter, _ builtins: BuiltinFunctions
    ) throws(SQLiteFailure) {
        for name in ["format", "printf"] {
            try ScalarFunction.register(name, [-1], on: connection, meter) { call throws(FunctionFailure) in
                for index in call.arguments.indices {
                    try call.charge(
                        call.size(index), at: index == 0 ? FunctionPrices.format : FunctionPrices.written)
                }
                try builtins.answer(call, name)
            }
        }
        try ScalarFunction.register("quote", 1...1, on: connection, meter) { call throws(FunctionFailure) in
            try call.charge(call.size(0), at: FunctionPrices.written)
            try builtins.answer(call, "quote")
        }
        try ScalarFunction.register("soundex", 1...1, on: connection, meter) { call throws(FunctionFailure) in
            try call.charge(call.size(0), at: FunctionPrices.read)
            try builtins.answer(call, "soundex")
        }
    }
}
