import CShims

/// Puts functions and collations of ours in the place of those of SQLite whose work the price of an instruction does not
/// cover (docs/execution.md, "Functions"). Results are the same, byte for byte.
enum BoundedFunctions {
    /// Registers them all on a connection; they charge `meter`.
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
        // Those with fewer arguments are SQLite's, which know the collation.
        let few = FunctionPrices.scalarExtremes.value
        for name in ["max", "min"] {
            let counts = Int32(few + 1)...Int32(CostModel.arguments.value)
            try ScalarFunction.register(name, counts, on: connection, meter) { _ throws(FunctionFailure) in
                throw .refused("\(name) takes at most \(few) arguments: nest it")
            }
        }
    }
}
