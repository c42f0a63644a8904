/// The prices, budgets and limits of the statements of transactions (docs/execution.md, "Costs").
///
/// They are part of the protocol. All nodes of a network must share them, because a statement that stops on one node
/// but not on another makes their states diverge.
///
/// A unit is the work of one instruction of SQLite's virtual machine on small values, about 0.1 µs.
public enum CostModel {
    /// A price, a budget or a limit; `apus config --limits` prints them all.
    public struct Figure: Sendable {
        /// A short name.
        public let name: String
        /// The amount.
        public let value: Int
        /// The unit of the amount.
        public let unit: String
        /// The reason, or what the figure applies to.
        public let reason: String

        init(_ name: String, _ value: Int, _ unit: String, _ reason: String) {
            self.name = name
            self.value = value
            self.unit = unit
            self.reason = reason
        }
    }

    /// The maximum size of a value while a statement runs, and the price of an instruction that may process such
    /// values.
    public struct Width: Hashable, Sendable {
        /// The maximum size of a text, a blob or a row, in bytes.
        public internal(set) var bytes: Int
        /// The price of an instruction, in units.
        public let price: Int
    }

    // MARK: Budgets

    package static let statement = Figure(
        "statement budget", 10_000_000, "units",
        "about a second; a statement that costs more fails and is undone")
    static let block = Figure(
        "block budget", 50_000_000, "units",
        "a twelfth of the time for a proposal; once a block has cost this much, it takes no further transaction"
    )

    // MARK: Prices

    static let transaction = Figure(
        "transaction", 500, "units", "the nonce, account, savepoint and result of each transaction")
    static let token = Figure(
        "token", 10, "units",
        "compiling a token of the expanded statement; charged at each run, even from the cache"
    )
    static let planning = Figure(
        "planning", 10, "units",
        "each comparison of the expanded statement for each table and index that it uses: SQLite's planner tries them all"
    )
    static let parameterBytes = Figure(
        "parameter bytes", 8, "bytes a unit", "binding parameters")
    static let row = Figure(
        "row written", 50, "units",
        "a row inserted, updated or deleted, and again for each index of its table: SQLite reads and writes a page"
    )
    static let rowBytes = Figure(
        "row bytes", 8, "bytes a unit",
        "such a row before and after, and again for each index: it is hashed, logged and checkpointed"
    )

    /// The maximum sizes of values and the prices of an instruction with each. A statement starts at the width that its
    /// parameters and constants need; if a value is too large, it is undone and run again at the next width.
    public static let widths = [
        Width(bytes: 1 << 10, price: 1), Width(bytes: 8 << 10, price: 8),
        Width(bytes: 64 << 10, price: 64), Width(bytes: 512 << 10, price: 512),
        Width(bytes: value.value, price: 8_192),
    ]

    // MARK: Limits

    static let value = Figure(
        "value", 8 << 20, "bytes",
        "a text, a blob or a row: more than a block of the default size can carry")
    static let values = Figure(
        "values together", 512 << 20, "bytes",
        "the tokens of the expanded statement times the size of its largest value: each value in memory takes two tokens"
    )
    static let statementBytes = Figure("statement", 1_000_000, "bytes", "the text of a statement")
    static let expandedTokens = Figure(
        "expanded statement", 100_000, "tokens",
        "with all views and common table expressions expanded: SQLite needs some hundred bytes and about a microsecond for each"
    )
    static let objectTokens = Figure(
        "expanded view or table", 20_000, "tokens", "small enough for a statement to use several"
    )
    static let schemaTokens = Figure(
        "expanded schema", 200_000, "tokens",
        "all tables, indexes and views: SQLite reads them all when one is altered")
    static let schemaObjects = Figure(
        "schema", 2_000, "tables, indexes and views", "all are checked after each schema change")
    static let schemaLiteral = Figure(
        "literal in the schema", 1_024, "bytes",
        "a token of a table, view or index becomes part of statements that do not contain it")
    static let viewDepth = Figure(
        "views on views", 50, "views", "SQLite's stack")
    static let columns = Figure("columns", 500, "columns", "of a table, a view or a result")
    static let expressionDepth = Figure("expression", 200, "levels", "SQLite's stack")
    static let compoundTerms = Figure("compound SELECT", 50, "terms", "SQLite's stack")
    static let arguments = Figure("function", 100, "arguments", "memory for a call")
    static let pattern = Figure("pattern of LIKE or GLOB", 1_000, "bytes", "work for each byte of the text")
    static let parameters = Figure("parameters", 1_000, "parameters", "of a statement")
    static let triggerDepth = Figure(
        "foreign keys", 100, "levels", "of actions that trigger each other: SQLite's stack")
    static let validatorRequests = Figure(
        "validator requests", 1_000, "requests",
        "pending; a limit is needed because anyone may request to join")

    /// All figures, in the order of this file.
    public static let figures =
        [
            statement, block, transaction, token, planning, parameterBytes, row, rowBytes, value, values,
            statementBytes, expandedTokens, objectTokens, schemaTokens, schemaObjects, schemaLiteral,
            viewDepth, columns, expressionDepth, compoundTerms, arguments, pattern, parameters, triggerDepth,
            validatorRequests,
        ] + FunctionPrices.figures

    /// The figures and widths as Markdown tables, which docs/execution.md contains.
    public static var documentation: String {
        var text = "| figure | value | unit | why |\n| --- | --- | --- | --- |\n"
        for figure in figures {
            text += "| \(figure.name) | \(figure.value) | \(figure.unit) | \(figure.reason) |\n"
        }
        text += "\n| maximum size of a value | units for an instruction |\n| --- | --- |\n"
        for width in widths { text += "| \(width.bytes) bytes | \(width.price) |\n" }
        return text
    }

    /// Returns the widths for a statement of `tokens` expanded tokens, starting with the first that holds `least`
    /// bytes. The last is reduced to what `values` allows.
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
