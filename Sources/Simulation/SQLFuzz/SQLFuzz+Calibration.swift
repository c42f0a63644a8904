import Bytes

extension SQLFuzz {
    /// Measures a unit's price by the quicker of two runs of a statement that uses up its budget of instructions.
    public static func measuredPrice(directory: String) throws -> UnitPrice {
        defer { try? DirectoryTree.remove(directory) }
        let pair = try Pair(directory, prices: nil)
        defer { pair.close() }
        let endless = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT count(*) FROM c"
        _ = try pair.step([SQLFuzzCase.Statement(sql: endless)])
        return UnitPrice(loopOf: try pair.lastCost(), took: pair.lastBlock)
    }
}
