/// What a transaction's statement costs, how much statements and blocks may cost, and how large what they work on may
/// be (docs/execution.md, "Costs"). All of it is part of the protocol: nodes of a network must share these figures, since a
/// statement that stops on one node and runs on another parts them.
///
/// A unit is the work of one instruction of SQLite's virtual machine on small values, about 0.1 µs.
public enum CostModel {
    /// One of the model's figures: `apus config --limits` prints them all.
    public struct Figure: Sendable {
        /// A short name.
        public let name: String
        /// How much.
        public let value: Int
        /// Of what.
        public let unit: String
        /// Why so much, and where it is charged or asked.
        public let reason: String

        init(_ name: String, _ value: Int, _ unit: String, _ reason: String) {
            self.name = name
            self.value = value
            self.unit = unit
            self.reason = reason
        }
    }

    /// How large a value may be while a statement runs, and what an instruction then costs: it may read and write
    /// values of that size.
    struct Width: Hashable {
        /// Bytes of a text, a blob or a row.
        var bytes: Int
        /// Units of an instruction.
        let price: Int
    }

    // MARK: Budgets

    package static let statement = Figure(
        "statement budget", 10_000_000, "units",
        "about a second; a statement that costs more fails and leaves nothing behind")
    static let block = Figure(
        "block budget", 50_000_000, "units",
        "a twelfth of the time that a proposal has; a transaction before which a block has cost so much is not part of it"
    )

    // MARK: Prices

    static let transaction = Figure(
        "transaction", 500, "units", "nonce, account, savepoint and result of each transaction")
    static let token = Figure(
        "token", 10, "units",
        "compiling a token of the statement with all views and expressions in their places; charged at each run, compiled or not"
    )
    static let planning = Figure(
        "planning", 10, "units",
        "each comparison of the expanded statement with each table and index that it uses: SQLite's planner tries them all"
    )
    static let parameterBytes = Figure(
        "parameter bytes", 8, "bytes a unit", "bytes of parameters, as they are bound")
    static let row = Figure(
        "row written", 50, "units",
        "a row that is added, changed or removed, and again for each index of its table: a page is read and written for it"
    )
    static let rowBytes = Figure(
        "row bytes", 8, "bytes a unit",
        "bytes of such a row before and after, and again for each index: they are hashed, logged and copied back"
    )

    /// An instruction costs a unit while no value is larger than the first of these, and so on. A statement begins with
    /// the width of its parameters and constants; where that does not suffice it is undone and run again with the next.
    static let widths = [
        Width(bytes: 1 << 10, price: 1), Width(bytes: 8 << 10, price: 8),
        Width(bytes: 64 << 10, price: 64), Width(bytes: 512 << 10, price: 512),
        Width(bytes: value.value, price: 8_192),
    ]

    // MARK: Limits

    static let value = Figure(
        "value", 8 << 20, "bytes",
        "a text, a blob or a row: more than what a block of the default size can carry")
    static let values = Figure(
        "values together", 512 << 20, "bytes",
        "tokens of the expanded statement times the bytes of its largest value: each value in memory takes two tokens to make"
    )
    static let statementBytes = Figure("statement", 1_000_000, "bytes", "the text of a statement")
    static let expandedTokens = Figure(
        "expanded statement", 100_000, "tokens",
        "with all views and common table expressions in their places: SQLite takes some hundred bytes and about a microsecond for each"
    )
    static let objectTokens = Figure(
        "expanded view or table", 20_000, "tokens", "with all that it uses: several uses fit into a statement"
    )
    static let schemaTokens = Figure(
        "expanded schema", 200_000, "tokens",
        "of all tables, indexes and views: SQLite reads them all when one of them is altered")
    static let schemaObjects = Figure(
        "schema", 2_000, "tables, indexes and views", "all are checked after each change of the schema")
    static let schemaLiteral = Figure(
        "literal in the schema", 1_024, "bytes",
        "a token of a table, view or index becomes part of statements that do not show it")
    static let viewDepth = Figure(
        "views on views", 50, "views", "each on the next: each takes some of SQLite's stack")
    static let columns = Figure("columns", 500, "columns", "of a table, a view or a result")
    static let expressionDepth = Figure("expression", 200, "levels", "SQLite's stack")
    static let compoundTerms = Figure("compound SELECT", 50, "terms", "SQLite's stack")
    static let arguments = Figure("function", 100, "arguments", "memory of a call")
    static let pattern = Figure("pattern of LIKE or GLOB", 1_000, "bytes", "work for each byte of the text")
    static let parameters = Figure("parameters", 1_000, "parameters", "of a statement")
    static let triggerDepth = Figure(
        "foreign keys", 100, "levels", "of actions that lead to each other: SQLite's stack")
    static let validatorRequests = Figure(
        "validator requests", 1_000, "requests",
        "pending: anybody may ask to join, so they must end somewhere")

    /// All figures, in the order of this file.
    public static let figures =
        [
            statement, block, transaction, token, planning, parameterBytes, row, rowBytes, value, values,
            statementBytes,
            expandedTokens, objectTokens, schemaTokens, schemaObjects, schemaLiteral, viewDepth, columns,
            expressionDepth, compoundTerms, arguments, pattern, parameters, triggerDepth, validatorRequests,
        ] + FunctionPrices.figures

    /// The figures and widths as a table in Markdown, which docs/execution.md holds.
    public static var documentation: String {
        var text = "| figure | value | unit | why |\n| --- | --- | --- | --- |\n"
        for figure in figures {
            text += "| \(figure.name) | \(figure.value) | \(figure.unit) | \(figure.reason) |\n"
        }
        text += "\n| values of at most | units of an instruction |\n| --- | --- |\n"
        for width in widths { text += "| \(width.bytes) bytes | \(width.price) |\n" }
        return text
    }

    /// The widths in which a statement of so many expanded tokens may run, the first that holds `least` bytes first. The
    /// last ends where all values together would be too large.
    static func widths(from least: Int, tokens: Int) -> ArraySlice<Width> {
        let most = min(value.value, max(widths[0].bytes, values.value / max(tokens, 1)))
        let needed = min(least, most)
        let first = widths.firstIndex { $0.bytes >= needed } ?? widths.count - 1
        let last = widths.firstIndex { $0.bytes >= most } ?? widths.count - 1
        var allowed = widths[min(first, last)...last]
        allowed[last].bytes = most
        return allowed
    }
}
