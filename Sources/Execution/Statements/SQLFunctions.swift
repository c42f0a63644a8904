import Bytes

/// The SQL functions that statements may call, by lower-case name. All others are refused, so that a newer SQLite
/// cannot add any unnoticed.
enum SQLFunctions {
    /// Functions whose result depends only on their arguments, on every node. These are deliberately missing: `random`
    /// and `randomblob`; dates and times, which depend on the clock and time zones; `changes`, `total_changes` and
    /// `last_insert_rowid`, which depend on the connection's history; `sqlite_version` and similar; the C library's
    /// mathematics (`sin`, `exp`, `pow`, …), whose last bit differs between libraries; and `subtype`, which
    /// distinguishes JSON just built from the same text in a table, so that an index on it would not match its rows.
    static let deterministic: Set<RawText> = [
        // Ours; they charge for what they read and write, which their time is linear in (`TextFunctions`,
        // `SearchFunctions`, `TrimFunctions`).
        "hex", "instr", "length", "lower", "ltrim", "replace", "rtrim", "substr", "substring", "trim",
        "upper",
        // Ours; they charge each comparison (`PatternFunctions`).
        "glob", "like",
        // SQLite's, called after a charge (`FormatFunctions`); SQLite limits their results to the size of a value.
        "format", "printf", "quote", "soundex",
        // At most copy a value, which the price of an instruction covers. A blob of zeros takes no memory until it is
        // read; `char` takes up to 100 arguments; `round` returns up to 30 digits.
        "abs", "char", "coalesce", "ifnull", "iif", "likelihood", "likely", "nullif", "round", "sign",
        "typeof", "unicode", "unlikely", "zeroblob",
        // Compare up to eight arguments (`BoundedFunctions`).
        "max", "min",
        // Take one or two numbers; exact in IEEE 754 arithmetic.
        "ceil", "ceiling", "floor", "trunc", "mod", "sqrt", "pi", "degrees", "radians",
        // Aggregate and window functions that process a number or copy a value for each row. `group_concat` collects no
        // more than the size of a value, and moves that much when a row leaves its window. `count` is ours
        // (`CountFunction`).
        "avg", "count", "group_concat", "sum", "total", "row_number", "rank", "dense_rank", "percent_rank",
        "cume_dist", "ntile", "lag", "lead", "first_value", "last_value", "nth_value",
        // Ours; they compute the size of their JSON before they build it (`JSONFunctions`, `JSONGroup`).
        "json_array", "json_group_array", "json_group_object", "json_object", "json_quote",
        // SQLite's, called after a charge for bytes and paths, and refused if bytes times paths exceed the size of a
        // value (`JSONFunctions`).
        "->", "->>", "json", "json_array_length", "json_extract", "json_insert", "json_patch", "json_remove",
        "json_replace", "json_set", "json_type", "json_valid",
    ]

    /// Functions that only queries may call, because their results are not part of the state.
    static let queries: Set<RawText> = [
        "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "exp", "ln", "log",
        "log10", "log2", "pow", "power", "sin", "sinh", "tan", "tanh", "current_date", "current_time",
        "current_timestamp", "date", "datetime", "julianday", "strftime", "time", "unixepoch", "random",
        "randomblob", "sqlite_version",
    ]

    /// Functions that SQLite's ALTER TABLE calls internally; no statement can name them.
    static let alterTable: Set<RawText> = [
        "sqlite_rename_column", "sqlite_rename_table", "sqlite_rename_test", "sqlite_rename_quotefix",
        "sqlite_drop_column", "sqlite_fail",
    ]
}
