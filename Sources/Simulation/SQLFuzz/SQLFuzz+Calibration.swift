import Multiformats

extension SQLFuzz {
    /// A block may cost as much as so many statements at their budget: its own, and the last one's beyond it
    /// (docs/execution.md, "Costs").
    private static let statementsOfBlock = 6
    /// Units are prices of the dearest known case on another machine: so much slower may this one be.
    private static let tolerance = 5

    /// The CPU time that a block may take on this machine: measured on a statement that uses up its budget of
    /// instructions.
    public static func measuredBlockLimit(directory: String) throws -> Duration {
        defer { try? DirectoryTree.remove(directory) }
        let pair = try Pair(directory)
        defer { pair.close() }
        let endless = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT count(*) FROM c"
        _ = try pair.step([SQLFuzzCase.Statement(sql: endless)], seed: 0, height: 1)
        return pair.fastestBlock * statementsOfBlock * tolerance
    }
}
