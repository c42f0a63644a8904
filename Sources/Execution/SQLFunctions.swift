import Multiformats

/// SQL functions that statements may call, by lower-case name. All that is not listed is refused, so that a
/// newer SQLite brings nothing in unseen.
enum SQLFunctions {
    /// Functions whose result depends on their arguments alone, on every node. Absent on purpose: `random` and
    /// `randomblob`; dates and times, which know "now" and time zones; `changes`, `total_changes` and
    /// `last_insert_rowid`, which depend on what the connection did before; `sqlite_version` and its kin; and what
    /// the C library's mathematics computes (`sin`, `exp`, `pow`, …), whose last bit differs between libraries; and
    /// `json_patch`, which compares each member of one object with each of the other; and `printf`, which yields NULL
    /// beyond the limit of values in place of an error.
    static let deterministic: Set<RawText> = [
        // Scalar.
        "abs", "char", "coalesce", "glob", "hex", "ifnull", "iif", "instr", "length", "like",
        "likelihood",
        "likely", "lower", "ltrim", "max", "min", "nullif", "quote", "replace", "round", "rtrim",
        "sign",
        "soundex", "substr", "substring", "trim", "typeof", "unicode", "unlikely", "upper", "zeroblob",
        // Exact in IEEE 754 arithmetic.
        "ceil", "ceiling", "floor", "trunc", "mod", "sqrt", "pi", "degrees", "radians",
        // Aggregates and windows.
        "avg", "count", "group_concat", "sum", "total", "row_number", "rank", "dense_rank", "percent_rank",
        "cume_dist", "ntile", "lag", "lead", "first_value", "last_value", "nth_value",
        // JSON.
        "->", "->>", "json", "json_array", "json_array_length", "json_extract", "json_group_array",
        "json_group_object", "json_insert", "json_object", "json_quote", "json_remove",
        "json_replace",
        "json_set", "json_type", "json_valid", "subtype",
    ]

    /// What queries may call besides: their results are no part of the state.
    static let queries: Set<RawText> = [
        "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "exp", "ln", "log",
        "log10", "log2",
        "pow", "power", "sin", "sinh", "tan", "tanh", "current_date", "current_time", "current_timestamp",
        "date",
        "datetime", "julianday", "strftime", "time", "unixepoch", "random", "randomblob", "sqlite_version",
        "json_patch", "printf", "format",
    ]

    /// What SQLite's ALTER TABLE calls within; no statement can name them.
    static let alterTable: Set<RawText> = [
        "sqlite_rename_column", "sqlite_rename_table", "sqlite_rename_test", "sqlite_rename_quotefix",
        "sqlite_drop_column", "sqlite_fail",
    ]
}
