/// A transaction's statement as SQLite compiled it, with what the policy found.
final class CompiledStatement {
    let statement: SQLiteStatement
    let text: StatementText
    let findings: StatementPolicy.Findings
    /// The size with all views and common table expressions expanded.
    let size: ExpandedSize
    let parameters: NamedParameters
    /// The time of its last use on the cache's clock.
    var lastUse: UInt64 = 0

    init(
        _ statement: SQLiteStatement, _ text: StatementText, _ findings: StatementPolicy.Findings,
        _ size: ExpandedSize
    ) throws(StatementFault) {
        self.statement = statement
        self.text = text
        self.findings = findings
        self.size = size
        parameters = try NamedParameters(of: statement)
    }
}
