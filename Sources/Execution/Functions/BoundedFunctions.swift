import CShims

/// Replaces those of SQLite's functions and collations whose work the price of an instruction does not cover
/// (docs/execution.md, "Functions"). Ours return the same results, byte for byte.
enum BoundedFunctions {
    /// Registers all of them on a connection; they charge `meter`.
    static func register(on connection: SQLiteConnection, _ meter: CostMeter) throws(SQLiteFailure) {
        let builtins = BuiltinFunctions()
        try TextFunctions.register(on: connection, meter)
        try SearchFunctions.register(on: connection, meter)
        try TrimFunctions.register(on: connection, meter)
        try PatternFunctions.register(on: connection, meter)
        try FormatFunctions.register(on: connection, meter, builtins)
        try JSONFunctions.register(on: connection, meter, builtins)
        try JSONGroup.register(on: connection, meter)
        try JSONTable.register(on: connection, meter, builtins)
        try Collation.register(on: connection, meter)
        // Calls with fewer arguments remain SQLite's, which can tell the collation.
        let few = FunctionPrices.scalarExtremes.value
        for name in ["max", "min"] {
            let counts = Int32(few + 1)...Int32(CostModel.arguments.value)
            try ScalarFunction.register(name, counts, on: connection, meter) { _ throws(FunctionFailure) in
                throw .refused("\(name) takes at most \(few) arguments: nest it")
            }
        }
    }
}
