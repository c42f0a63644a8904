import Bytes

/// SQL functions that statements may call, by lower-case name. All that is not listed is refused, so that a
/// newer SQLite brings nothing in unseen.
enum SQLFunctions {
    /// Functions whose result depends on their arguments alone, on every node. Absent on purpose: `random` and
    /// `randomblob`; dates and times, which know "now" and time zones; `changes`, `total_changes` and
    /// `last_insert_rowid`, which depend on what the connection did before; `sqlite_version` and its kin; and what
    /// the C library's mathematics computes (`sin`, `exp`, `pow`, …), whose last bit differs between libraries. Absent, too,
    /// is `subtype`, which tells JSON that was just made from the same text in a table: an index of what it says is damaged.
    static let deterministic: Set<RawText> = [
        // Linear in what they read and make, which they charge: ours (`TextFunctions`, `SearchFunctions`, `TrimFunctions`).
        "hex", "instr", "length", "lower", "ltrim", "replace", "rtrim", "substr", "substring", "trim",
        "upper",
        // Charge each comparison: ours (`PatternFunctions`).
        "glob", "like",
        // SQLite's, after they are charged (`FormatFunctions`); what they make is bounded by SQLite's limit of a value.
        "format", "printf", "quote", "soundex",
        // No more than the copy of a value, which the price of an instruction pays for: a blob of zeros is none until
        // it is read; at most 100 characters; at most 30 digits of 64 bits; numbers read from a text.
        "abs", "char", "coalesce", "ifnull", "iif", "likelihood", "likely", "nullif", "round", "sign",
        "typeof",
        "unicode", "unlikely", "zeroblob",
        // Compare each argument: at most eight (`BoundedFunctions`).
        "max", "min",
        // Of one number or two; exact in IEEE 754 arithmetic.
        "ceil", "ceiling", "floor", "trunc", "mod", "sqrt", "pi", "degrees", "radians",
        // Aggregates and windows: a number for each row, or the copy of a value. `group_concat` gathers no more than a
        // value may be long, and moves that much where a row leaves its window. `count` is ours (`CountFunction`).
        "avg", "count", "group_concat", "sum", "total", "row_number", "rank", "dense_rank", "percent_rank",
        "cume_dist", "ntile", "lag", "lead", "first_value", "last_value", "nth_value",
        // Make JSON of values, whose size they compute first: ours (`JSONFunctions`, `JSONGroup`).
        "json_array", "json_group_array", "json_group_object", "json_object", "json_quote",
        // Read JSON: SQLite's, after they are charged by bytes and paths, and refused where bytes times paths are more than
        // a value may have (`JSONFunctions`).
        "->", "->>", "json", "json_array_length", "json_extract", "json_insert", "json_patch", "json_remove",
        "json_replace", "json_set", "json_type", "json_valid",
    ]

    /// What queries may call besides: their results are no part of the state.
    static let queries: Set<RawText> = [
        "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "exp", "ln", "log",
        "log10", "log2",
        "pow", "power", "sin", "sinh", "tan", "tanh", "current_date", "current_time", "current_timestamp",
        "date",
        "datetime", "julianday", "strftime", "time", "unixepoch", "random", "randomblob", "sqlite_version",
    ]

    /// What SQLite's ALTER TABLE calls within; no statement can name them.
    static let alterTable: Set<RawText> = [
        "sqlite_rename_column", "sqlite_rename_table", "sqlite_rename_test", "sqlite_rename_quotefix",
        "sqlite_drop_column", "sqlite_fail",
    ]
}
