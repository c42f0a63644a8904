import Bytes

/// The size of a statement once every view and common table expression is expanded where it is used.
///
/// SQLite expands them while it compiles, before its authorizer can refuse: a chain of 30 expressions, each using the
/// previous one twice, exhausts all memory. The size depends only on the text and the schema, so every node refuses the
/// same statements.
///
/// Besides tokens, it counts comparison operators and tables with their indexes, because SQLite's planner considers
/// each operator for each table.
///
/// The size is an upper bound: a name counts as a table wherever SQLite's grammar allows one, and an asterisk counts as
/// the maximum number of columns.
struct ExpandedSize: Hashable {
    /// The number of tokens, capped just above `limit`.
    var tokens = 0
    /// The number of operators that compare or combine comparisons.
    var operators = 0
    /// The number of tables and their indexes, counted at each use.
    var tables = 0

    /// The maximum number of tokens of a statement.
    static let limit = CostModel.expandedTokens.value
    static let tooLarge = ExpandedSize(tokens: limit + 1)

    /// The cost of compiling a statement of this size, in units.
    var cost: Int { tokens * CostModel.token.value + operators * tables * CostModel.planning.value }

    static func += (left: inout ExpandedSize, right: ExpandedSize) {
        left.tokens = min(left.tokens + right.tokens, limit + 1)
        left.operators = min(left.operators + right.operators, limit)
        left.tables = min(left.tables + right.tables, limit)
    }

    /// Returns the size of a statement; `tooLarge` if it is nested too deeply.
    static func of(_ text: RawText, object: @escaping StatementExpansion.Object) -> ExpandedSize {
        var expansion = StatementExpansion(text, object: object)
        return expansion.size
    }
}
