/// A statement that takes the most time, memory or disk known for its cost.
struct DearStatement {
    /// The main component of its cost.
    let kind: String
    /// The statements that precede it, each in a block of its own.
    var setUp: [String] = []
    let sql: String

    private static let rows = "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c"
    private static let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, v, w)"
    private static let indexed = [table] + (1...5).map { "CREATE INDEX i\($0) ON t (v)" }

    private static func filled(_ count: Int, _ value: String) -> [String] {
        [table, "\(rows) LIMIT \(count)) INSERT INTO t SELECT n, \(value), n FROM c"]
    }

    /// Returns a statement that runs until the budget is used up, with `work` for each row.
    private static func endless(_ work: String) -> String {
        "\(rows)) SELECT count(*) FROM c WHERE \(work)"
    }

    private static func list(_ count: Int, _ text: String) -> String {
        [String](repeating: text, count: count).joined(separator: ", ")
    }

    /// All statements.
    static let all = instructions + functions + written + compiled

    private static let instructions = [
        DearStatement(kind: "instructions", sql: endless("n < 0")),
        DearStatement(
            kind: "instructions of a join", setUp: filled(3_000, "n"),
            sql: "SELECT count(*) FROM t a, t b, t c WHERE a.v + b.v + c.v < 0"),
        DearStatement(
            kind: "rows far apart", setUp: filled(40_000, "zeroblob(900)"),
            sql: "\(rows)) SELECT count(*) FROM c JOIN t ON t.id = n * 7919 % 40000 WHERE t.w < 0"),
        DearStatement(
            kind: "columns behind large ones", setUp: filled(9, "zeroblob(900000)"),
            sql: "\(rows)) SELECT count(*) FROM c JOIN t ON t.id = n % 9 + 1 WHERE t.w < 0"),
        DearStatement(
            kind: "sorted values of 1 KB",
            sql: "\(rows) LIMIT 700000) SELECT max(x) FROM (SELECT zeroblob(980) || n AS x FROM c ORDER BY x)"
        ),
        DearStatement(
            kind: "groups of texts", sql: "\(rows) LIMIT 700000) SELECT count(DISTINCT 'text ' || n) FROM c"),
        DearStatement(
            kind: "a window's frame",
            sql: "\(rows) LIMIT 500000) SELECT max(x) FROM (SELECT group_concat(n) OVER "
                + "(ORDER BY n ROWS BETWEEN 200 PRECEDING AND CURRENT ROW) AS x FROM c)"),
        DearStatement(
            kind: "values of 1 KB", sql: endless("substr(zeroblob(1000), 1, 990) || n > 'x'")),
        DearStatement(
            kind: "values of 8 KB", sql: endless("substr(zeroblob(7900), 1, 7000) || n > 'x'")),
        DearStatement(
            kind: "values of 64 KB", sql: endless("substr(zeroblob(64000), 1, 60000) || n > 'x'")),
        DearStatement(
            kind: "values of 6 MB", sql: endless("substr(zeroblob(6000000), 1, 5000000) || n > 'x'")),
    ]

    private static let functions = [
        DearStatement(
            kind: "`instr`", sql: endless("instr(hex(zeroblob(400)) || n, hex(zeroblob(100)) || '1') < 0")),
        DearStatement(kind: "`replace`", sql: endless("replace(hex(zeroblob(200)) || n, '0', '1') = ''")),
        DearStatement(kind: "`LIKE`", sql: endless("hex(zeroblob(400)) || n LIKE '%00000000000000000001%'")),
        DearStatement(kind: "`trim`", sql: endless("trim(hex(zeroblob(400)) || n, 'abcdefgh0') = 'x'")),
        DearStatement(kind: "`upper`", sql: endless("upper(hex(zeroblob(400)) || n) = ''")),
        DearStatement(kind: "`printf`", sql: endless("printf('%g%g%g%g%g%g', n, n, n, n, n, n) = ''")),
        DearStatement(kind: "`quote`", sql: endless("quote(n * 1.1) = ''")),
        DearStatement(
            kind: "reading JSON",
            sql: endless(
                "json_array_length('[' || substr(replace(hex(zeroblob(240)), '0', '1,'), 1, 900) || n || ']') < 0"
            )
        ),
        DearStatement(
            kind: "`json_each`",
            sql: "\(rows)) SELECT count(*) FROM c, json_each('[1,2,3,' || n || ']') AS j WHERE j.value < 0"),
        DearStatement(
            kind: "COLLATE NOCASE",
            sql: endless("hex(zeroblob(400)) || n = hex(zeroblob(400)) COLLATE NOCASE")),
    ]

    private static let written = [
        DearStatement(
            kind: "small rows", setUp: [table],
            sql: "\(rows) LIMIT 60000) INSERT INTO t SELECT n, n, n FROM c"),
        DearStatement(
            kind: "rows in five indexes", setUp: indexed,
            sql: "\(rows) LIMIT 20000) INSERT INTO t SELECT n, (n * 7919) % 104729, n FROM c"),
        DearStatement(
            kind: "rows of 900 bytes", setUp: [table],
            sql: "\(rows) LIMIT 40000) INSERT INTO t SELECT n, zeroblob(900), 1 FROM c"),
        DearStatement(
            kind: "rows of 4 MB", setUp: [table],
            sql: "\(rows) LIMIT 9) INSERT INTO t SELECT n, zeroblob(4000000), 1 FROM c"),
        DearStatement(
            kind: "changed rows", setUp: filled(60_000, "n"), sql: "UPDATE t SET v = v + 1"),
        DearStatement(kind: "removed rows", setUp: filled(60_000, "n"), sql: "DELETE FROM t"),
        DearStatement(
            kind: "an index that is made", setUp: filled(60_000, "n % 1000"), sql: "CREATE INDEX i ON t (v)"),
        DearStatement(
            kind: "a column that goes", setUp: filled(60_000, "n"), sql: "ALTER TABLE t DROP COLUMN w"),
        DearStatement(
            kind: "rows that are undone", setUp: [table],
            sql: "\(rows)) INSERT INTO t SELECT n, zeroblob(900), 1 FROM c"),
    ]

    private static let compiled = [
        DearStatement(
            kind: "compiling terms", sql: "SELECT \(list(400, "1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10"))"),
        DearStatement(
            kind: "compiling copies",
            sql: "WITH a(x) AS (SELECT 1)"
                + (1...12).map { level in
                    let inner = level == 1 ? "a" : "a\(level - 1)"
                    return ", a\(level)(x) AS (SELECT (SELECT x FROM \(inner)) + (SELECT x FROM \(inner)))"
                }.joined() + " SELECT x FROM a12"),
        DearStatement(
            kind: "planning a join", setUp: [table] + (1...8).map { "CREATE INDEX i\($0) ON t (v, w)" },
            sql: "SELECT count(*) FROM \((1...20).map { "t AS t\($0)" }.joined(separator: ", ")) WHERE "
                + (1...19).map { "t\($0).v = t\($0 + 1).w" }.joined(separator: " AND ")),
    ]
}
