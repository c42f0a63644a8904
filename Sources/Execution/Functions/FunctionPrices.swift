/// What functions charge beside the instruction that calls them, which pays for reading and making its values at some
/// 10 GB/s (docs/execution.md, "Functions"). Part of the protocol, as all of `CostModel`.
///
/// Measured as nanoseconds a byte with SQLite 3.40.1, on a busy machine about 2.5 times slower than the one whose unit is
/// 0.1 µs: a price of n bytes a unit stands for 250 / n ns a byte there. What was measured stands beside each.
enum FunctionPrices {
    /// Handing the arguments to another connection and its result back: 1 to 2 µs.
    static let call = CostModel.Figure(
        "call of SQLite's function", 8, "units",
        "JSON functions, format, quote and soundex: ours charge, and then call SQLite's through another connection"
    )
    /// `upper` 4, `substr` 3, `length` 3, `soundex` 3, `hex` 2, COLLATE NOCASE 1 ns a byte.
    static let read = CostModel.Figure(
        "bytes read", 64, "bytes a unit",
        "length, substr, upper, lower, hex, soundex; each path of a JSON function; texts compared by NOCASE and RTRIM"
    )
    /// `replace` of single characters 25, `instr` of unlucky needles 6 ns a byte.
    static let searched = CostModel.Figure(
        "bytes searched", 8, "bytes a unit", "what instr and replace search, search for and make")
    /// 10 ns each.
    static let comparison = CostModel.Figure(
        "comparisons", 16, "a unit", "characters that LIKE and GLOB compare")
    /// A look-up of up to four keys, some 100 ns.
    static let trimmed = CostModel.Figure(
        "bytes trimmed", 2, "bytes a unit",
        "by a set of more than eight characters, which is one table; else as bytes read, for each character of the set"
    )
    /// `quote` 6, `printf('%Q')` 4, padding 5 ns a byte.
    static let written = CostModel.Figure(
        "bytes written", 32, "bytes a unit",
        "arguments and results of quote and format, and what JSON functions make of values")
    /// `%g` 44 ns for each byte of a format that consists of nothing else.
    static let format = CostModel.Figure(
        "bytes of a format", 4, "bytes a unit", "format and printf: each two bytes may ask for a number")
    /// `[1,1,1,…` 25, objects 10 ns a byte.
    static let parsed = CostModel.Figure(
        "bytes of JSON", 8, "bytes a unit", "each text that a JSON function or json_each reads")
    /// 8 ns each.
    static let pairs = CostModel.Figure(
        "pairs of members", 32, "a unit", "json_patch compares each member of the one with each of the other")
    /// 0.05 ns for each byte of the text, where all names have the same length.
    static let pairBytes = CostModel.Figure(
        "bytes of members", 2_048, "bytes a unit", "json_patch: of the text, for each member of the patch")

    /// Constants need no instruction for each row, and yet are compared. SQLite tells no function which collation applies, so
    /// that none of ours can stand in their place.
    static let scalarExtremes = CostModel.Figure(
        "arguments of min and max", 8, "values", "all are compared in one instruction")

    /// All of them, in the order of this file.
    static let figures = [
        call, read, searched, comparison, trimmed, written, format, parsed, pairs, pairBytes, scalarExtremes,
    ]
}
