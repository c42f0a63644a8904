/// The prices of functions beyond the instruction that calls them, which pays for reading and writing its values at
/// some 10 GB/s (docs/execution.md, "Functions"). They are part of the protocol, like all of `CostModel`.
///
/// The measurements beside the prices come from SQLite 3.40.1 on a busy machine about 2.5 times slower than one on
/// which a unit takes 0.1 µs. There, a price of n bytes a unit corresponds to 250 / n ns a byte.
enum FunctionPrices {
    /// Passing the arguments to another connection and the result back: 1 to 2 µs.
    static let call = CostModel.Figure(
        "call of SQLite's function", 8, "units",
        "JSON functions, format, quote and soundex: ours charge and then call SQLite's through another connection"
    )
    /// `upper` 4, `substr` 3, `length` 3, `soundex` 3, `hex` 2, COLLATE NOCASE 1 ns a byte.
    static let read = CostModel.Figure(
        "bytes read", 64, "bytes a unit",
        "length, substr, upper, lower, hex, soundex; each path of a JSON function; texts compared by NOCASE and RTRIM"
    )
    /// `replace` of single characters 25, `instr` of the worst needles 6 ns a byte.
    static let searched = CostModel.Figure(
        "bytes searched", 8, "bytes a unit", "arguments and results of instr and replace")
    /// 10 ns each.
    static let comparison = CostModel.Figure(
        "comparisons", 16, "a unit", "characters that LIKE and GLOB compare")
    /// A lookup of up to four keys, some 100 ns.
    static let trimmed = CostModel.Figure(
        "bytes trimmed", 2, "bytes a unit",
        "by a set of more than eight characters, which is looked up in a table; a smaller set costs bytes read for each character"
    )
    /// `quote` 6, `printf('%Q')` 4, padding 5 ns a byte.
    static let written = CostModel.Figure(
        "bytes written", 32, "bytes a unit",
        "arguments and results of quote and format, and the results of JSON functions that take values")
    /// `%g` 44 ns for each byte of a format that consists of nothing else.
    static let format = CostModel.Figure(
        "bytes of a format", 4, "bytes a unit", "format and printf: every two bytes may format a number")
    /// `[1,1,1,…` 25, objects 10 ns a byte.
    static let parsed = CostModel.Figure(
        "bytes of JSON", 8, "bytes a unit", "each text that a JSON function or json_each reads")
    /// 8 ns each.
    static let pairs = CostModel.Figure(
        "pairs of members", 32, "a unit", "json_patch compares each member of the text with each of the patch"
    )
    /// 0.05 ns for each byte of the text if all names have the same length.
    static let pairBytes = CostModel.Figure(
        "bytes of members", 2_048, "bytes a unit", "json_patch: the text, for each member of the patch")

    /// Comparing constants takes no further instruction for each row. SQLite does not tell functions which collation
    /// applies, so ours cannot replace `min` and `max`.
    static let scalarExtremes = CostModel.Figure(
        "arguments of min and max", 8, "values", "all are compared in one instruction")

    /// All prices, in the order of this file.
    static let figures = [
        call, read, searched, comparison, trimmed, written, format, parsed, pairs, pairBytes, scalarExtremes,
    ]
}
