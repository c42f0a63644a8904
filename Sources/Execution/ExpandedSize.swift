import Bytes

/// What SQLite has to compile for a statement: how many tokens it has once SQLite has put a copy of each view and of each
/// common table expression where it is used. It does so while it compiles and before it asks anybody: a chain of 30
/// expressions that each use the one before twice takes all memory. The size is computed from the text and the schema
/// alone, so that every node refuses the same statements.
///
/// Beside tokens it counts operators that compare, and tables with their indexes: SQLite's planner looks at each of the
/// ones for each of the others.
///
/// The size errs upwards. A name counts as a table's wherever SQLite's grammar may have a table, and an asterisk like
/// the most columns that a result may have.
struct ExpandedSize: Hashable {
    /// Beyond `limit`, sizes are not told apart.
    var tokens = 0
    /// Operators that compare or combine comparisons.
    var operators = 0
    /// Tables, and their indexes once for each use.
    var tables = 0

    /// Tokens beyond which a statement is refused.
    static let limit = CostModel.expandedTokens.value
    static let tooLarge = ExpandedSize(tokens: limit + 1)

    /// Units of compiling a statement of this size.
    var cost: Int { tokens * CostModel.token.value + operators * tables * CostModel.planning.value }

    static func += (left: inout ExpandedSize, right: ExpandedSize) {
        left.tokens = min(left.tokens + right.tokens, limit + 1)
        left.operators = min(left.operators + right.operators, limit)
        left.tables = min(left.tables + right.tables, limit)
    }

    /// The size of a statement; `tooLarge` for one that is nested too deeply to tell.
    static func of(_ text: RawText, object: @escaping StatementExpansion.Object) -> ExpandedSize {
        var expansion = StatementExpansion(text, object: object)
        return expansion.size
    }
}
