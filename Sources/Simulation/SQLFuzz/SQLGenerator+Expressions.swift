import Chain
import Collections

extension SQLGenerator {
    /// The number of parameters that statements may name.
    static let parameterCount = 3

    /// The functions that transactions may call, with their numbers of arguments.
    static let functions: [(name: String, arguments: ClosedRange<UInt64>)] = [
        ("abs", 1...1), ("char", 0...3), ("coalesce", 2...3), ("format", 1...4), ("glob", 2...2),
        ("hex", 1...1),
        ("ifnull", 2...2), ("iif", 3...3), ("instr", 2...2), ("length", 1...1), ("like", 2...3),
        ("likelihood", 2...2), ("likely", 1...1), ("lower", 1...1), ("ltrim", 1...2), ("max", 1...3),
        ("min", 1...3), ("nullif", 2...2), ("printf", 1...4), ("quote", 1...1), ("replace", 3...3),
        ("round", 1...2), ("rtrim", 1...2), ("sign", 1...1), ("soundex", 1...1), ("substr", 2...3),
        ("substring", 2...3), ("trim", 1...2), ("typeof", 1...1), ("unicode", 1...1), ("unlikely", 1...1),
        ("upper", 1...1), ("zeroblob", 1...1), ("ceil", 1...1), ("ceiling", 1...1), ("floor", 1...1),
        ("trunc", 1...1), ("mod", 2...2), ("sqrt", 1...1), ("pi", 0...0), ("degrees", 1...1),
        ("radians", 1...1),
        ("json", 1...1), ("json_array", 0...3), ("json_array_length", 1...2), ("json_extract", 2...3),
        ("json_insert", 3...3), ("json_object", 2...2), ("json_patch", 2...2), ("json_quote", 1...1),
        ("json_remove", 1...2), ("json_replace", 3...3), ("json_set", 3...3), ("json_type", 1...2),
        ("json_valid", 1...1),
    ]

    /// Aggregates, which may also be called as window functions.
    static let aggregates: [(name: String, arguments: ClosedRange<UInt64>)] = [
        ("avg", 1...1), ("count", 0...1), ("group_concat", 1...2), ("sum", 1...1), ("total", 1...1),
        ("json_group_array", 1...1), ("json_group_object", 2...2),
    ]
    /// Functions that are window functions only.
    static let windows: [(name: String, arguments: ClosedRange<UInt64>)] = [
        ("row_number", 0...0), ("rank", 0...0), ("dense_rank", 0...0), ("percent_rank", 0...0),
        ("cume_dist", 0...0), ("ntile", 1...1), ("lag", 1...3), ("lead", 1...3), ("first_value", 1...1),
        ("last_value", 1...1), ("nth_value", 2...2),
    ]

    private static let literals = [
        "NULL", "0", "1", "-1", "2", "9223372036854775807", "-9223372036854775808", "9223372036854775806",
        "9223372036854775808", "1e308", "-1e-308", "1e999", "0.1", "1.5", "''", "'a'", "'A'", "'a '", "' 1'",
        "'1e3'", "'0x10'", "x''", "x'00ff'", "x'c3'", "true", "'\u{E9}'", "'e\u{301}'", "'\u{130}i\u{131}'",
        "'[1,{\"a\":null}]'", "'{\"a\":[1,2]}'", "'$.a'", "'$[#-1]'", "'%'", "'%s|%d'", "'%.*f%Q'",
        "'%2000d'", "'%!.5s%c%x%q%%'", "'_a%'", "'[a-z]*'",
        "zeroblob(3)", "hex(zeroblob(100000))", "replace(hex(zeroblob(1000)), '0', 'ab')",
        "char(0, 65, 1114111)",
    ]
    private static let operators = [
        "+", "-", "*", "/", "%", "||", "<", "<=", "=", "==", "<>", "IS", "IS NOT", "AND", "OR", "&", "|",
        "<<", ">>",
        "LIKE", "GLOB", "->", "->>",
    ]

    /// Returns an expression on columns, which may not exist.
    mutating func expression(_ columns: [String], _ depth: Int) -> String {
        guard depth > 0, !random.oneIn(3) else { return leaf(columns) }
        switch number(13) {
        case 0, 1, 2, 3:
            return
                "(\(expression(columns, depth - 1)) \(one(of: Self.operators)) \(expression(columns, depth - 1)))"
        case 4, 5, 6, 7: return call(Self.functions, columns, depth)
        case 8:
            return "CASE WHEN \(expression(columns, depth - 1)) THEN \(expression(columns, depth - 1))"
                + " ELSE \(expression(columns, depth - 1)) END"
        case 9:
            let type = one(of: ["INTEGER", "TEXT", "REAL", "BLOB", "NUMERIC"])
            return "CAST(\(expression(columns, depth - 1)) AS \(type))"
        case 10:
            return "(\(expression(columns, depth - 1)) \(one(of: ["", "NOT "]))IN "
                + "(\(expression(columns, depth - 1)), \(leaf(columns))))"
        case 11 where !isConstraint: return aggregate(columns, depth)
        default: return depth > 1 && !isConstraint ? "(\(select(depth: depth - 1)))" : leaf(columns)
        }
    }

    private mutating func leaf(_ columns: [String]) -> String {
        if !columns.isEmpty, !random.oneIn(3) {
            return Self.quoted(one(of: columns)) + (random.oneIn(10) ? " COLLATE NOCASE" : "")
        }
        return random.oneIn(8) && !isConstraint
            ? "$p\(number(UInt64(Self.parameterCount)))" : one(of: Self.literals)
    }

    private mutating func call(
        _ functions: [(name: String, arguments: ClosedRange<UInt64>)], _ columns: [String], _ depth: Int
    ) -> String {
        guard let function = random.pick(functions) else { return "NULL" }
        let count = UInt64.random(in: function.arguments, using: &random)
        let arguments = (0..<count).map { _ in expression(columns, depth - 1) }
        return "\(function.name)(\(arguments.joined(separator: ", ")))"
    }

    private mutating func aggregate(_ columns: [String], _ depth: Int) -> String {
        let isWindow = random.oneIn(3)
        let text = call(isWindow ? Self.windows : Self.aggregates, columns, depth)
        let table = tables.first.map { Self.quoted($0.name) } ?? "none"
        let over = isWindow || random.oneIn(3) ? " OVER (ORDER BY \(leaf(columns)))" : ""
        return "(SELECT \(text)\(over) FROM \(table))"
    }

    /// Returns a value of one of the types that a transaction carries.
    mutating func value() -> Value {
        let values: [Value?] = [
            .null, .text("e\u{301}"), .text("\u{E9}"), .text("a\u{0}b"), .int8(Int64.max), .int8(Int64.min),
            .int8(0),
            .bytea([]), .bytea([0, 255]), .bool(true), .uuid([UInt8](repeating: 7, count: 16)),
            .numeric("12345678901234567890.123", precision: 30, scale: 3),
            .numeric("7", precision: 1, scale: 0),
            .array(of: .int8, [.int8(1), .null]), .array(of: .text, [.text("\u{FC}")]),
        ]
        return values[number(UInt64(values.count))] ?? .null
    }

    /// Returns a statement that once split, stopped or stalled a chain.
    mutating func hostile() -> String {
        let table = Self.quoted(random.pick(tables)?.name ?? "none")
        return one(of: [
            "INSERT INTO \(table) VALUES (3, instr(hex(zeroblob(30000)), hex(zeroblob(7000)) || '1'))",
            "INSERT OR IGNORE INTO \(table) VALUES (9223372036854775807, 'x')",
            "INSERT INTO \(table) VALUES (NULL, 'z')",
            "SELECT count(*) FROM \(table) a, \(table) b, \(table) c, \(table) d",
            "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT count(*) FROM c",
            "INSERT INTO \(table) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) "
                + "SELECT i, zeroblob(800000) FROM c",
            "UPDATE \(table) SET v = json_array(\(Array(repeating: "hex(zeroblob(400000))", count: 50).joined(separator: ",")))",
            "WITH a(x) AS (SELECT 1), b(x) AS (SELECT (SELECT x FROM a)+(SELECT x FROM a)), "
                + "c(x) AS (SELECT (SELECT x FROM b)+(SELECT x FROM b)) SELECT (SELECT x FROM c)+(SELECT x FROM c)",
            "SELECT random(), changes()",
            "PRAGMA user_version = 1", "CREATE TABLE q AS SELECT 1",
            "CREATE TABLE q (k INTEGER PRIMARY KEY AUTOINCREMENT)", "CREATE TEMP TABLE q (k PRIMARY KEY)",
            "SELECT sql FROM sqlite_master", "UPDATE apus_state SET height = 0", "ROLLBACK", "",
            "\u{FEFF}SELECT 1", "SELECT 1; SELECT 2",
        ])
    }
}
