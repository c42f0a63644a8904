import Bytes
import Chain
import Collections

/// Generates statements from a seed, by a grammar of SQLite's SQL and with values that SQLite treats specially. Many
/// statements fail; engines must agree on the failures as well.
struct SQLGenerator {
    struct Table {
        var name: String
        var columns: [String]
    }

    /// Names in two normal forms, in several scripts, and a keyword.
    private static let names = [
        "t", "T2", "\u{C4}mter", "A\u{308}mter", "\u{41A}\u{43B}\u{44E}\u{447}\u{438}", "\u{3B4}",
        "\u{30C6}\u{30FC}", "select", "a b", "\u{E9}", "e\u{301}",
    ]
    private static let columnNames = [
        "k", "v", "w", "\u{E9}", "e\u{301}", "\u{DC}ber", "order", "\u{437}", "rowid",
    ]
    private static let types = [
        "", "INTEGER", "TEXT", "REAL", "BLOB", "NUMERIC", "BOOL", "UUID", "DECIMAL(9,2)", "VARCHAR(3)",
    ]
    private static let strictTypes = ["INTEGER", "TEXT", "REAL", "BLOB", "ANY", "INT"]
    private static let conflicts = [
        "", "", " ON CONFLICT IGNORE", " ON CONFLICT REPLACE", " ON CONFLICT ABORT", " ON CONFLICT FAIL",
    ]
    private static let actions = ["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"]

    var random: SeededGenerator
    private(set) var tables: [Table] = []
    /// All names that tables have had.
    private(set) var tableNames: Set<RawText> = []
    /// Whether expressions become part of the schema, where subqueries and parameters are not allowed.
    private(set) var isConstraint = false
    private var views: [String] = []
    private var indexes: [String] = []
    private var serial = 0
    /// Earlier statements. Some are repeated: the undisturbed engine has them compiled, the twin may not.
    private var earlier: [String] = []

    /// Whether to leave out statements that use up their budget of time.
    let isThrifty: Bool

    init(seed: UInt64, isThrifty: Bool = false) {
        random = SeededGenerator(seed: seed, stream: "sql")
        self.isThrifty = isThrifty
    }

    // MARK: Choices

    mutating func one(of values: [String]) -> String { random.pick(values) ?? "" }

    mutating func number(_ count: UInt64) -> Int { Int(random.next() % max(1, count)) }

    /// Returns a name in double quotes.
    static func quoted(_ name: String) -> String { "\"\(name)\"" }

    private mutating func table() -> Table { random.pick(tables) ?? Table(name: "none", columns: ["k"]) }

    private mutating func newName() -> String {
        serial += 1
        return random.oneIn(3)
            ? Self.names[number(UInt64(Self.names.count))] : "\(one(of: Self.names))\(serial)"
    }

    // MARK: Statements

    /// Returns the next transaction.
    mutating func next(isFirstBlock: Bool = false) -> SQLFuzzCase.Statement {
        if isFirstBlock, tables.isEmpty { return SQLFuzzCase.Statement(sql: createTable()) }
        let sql = isFirstBlock ? createTable() : repeated() ?? statement()
        earlier.append(sql)
        var result = SQLFuzzCase.Statement(sql: sql)
        if random.oneIn(6) { result.sender = number(3) }
        if random.oneIn(30) { result.nonceSkew = 1 + random.next() % 3 }
        for index in 0..<Self.parameterCount where sql.utf8.contains(UInt8(ascii: "$")) {
            result.parameters.append(RawStatement.Parameter("$p\(index)", value()))
        }
        return result
    }

    private mutating func repeated() -> String? { random.oneIn(5) ? random.pick(earlier) : nil }

    private mutating func statement() -> String {
        switch number(40) {
        case 0, 1: createTable()
        case 2: createView()
        case 3, 4: createIndex()
        case 5, 6: alter()
        case 7: drop()
        case 8, 9, 10: delete()
        case 11...16: update()
        case 17, 18: select(depth: 2)
        case 19 where !isThrifty: hostile()
        case 20: "INSERT INTO grants (identifier) VALUES ('\(SQLFuzz.granted)')"
        default: insert()
        }
    }

    private mutating func createTable() -> String {
        let name = newName()
        let isStrict = random.oneIn(6)
        var names: [String] = []
        for _ in 0...(1 + number(3)) {
            let column = one(of: Self.columnNames)
            if !names.contains(where: { $0.utf8.elementsEqual(column.utf8) }) { names.append(column) }
        }
        var parts = names.map { columnDefinition($0, isStrict) }
        let key = Self.quoted(names[0])
        if random.oneIn(2) {
            parts[0] =
                "\(key) \(random.oneIn(6) ? "INT" : "INTEGER") PRIMARY KEY\(one(of: ["", "", " DESC"]))"
            parts[0] += random.oneIn(2) ? one(of: Self.conflicts) : " NOT NULL\(one(of: Self.conflicts))"
        } else {
            let columns = names.prefix(1 + number(2)).map(Self.quoted).joined(separator: ", ")
            parts.append("PRIMARY KEY (\(columns))\(one(of: Self.conflicts))")
        }
        if random.oneIn(5) {
            parts.append(
                "UNIQUE (\(names.map(Self.quoted).joined(separator: ", ")))\(one(of: Self.conflicts))")
        }
        if random.oneIn(4) {
            let target = random.oneIn(4) ? name : table().name
            parts.append(
                "FOREIGN KEY (\(Self.quoted(names[names.count - 1]))) REFERENCES \(Self.quoted(target))"
                    + " ON DELETE \(one(of: Self.actions)) ON UPDATE \(one(of: Self.actions))"
                    + one(of: ["", " DEFERRABLE INITIALLY DEFERRED"]))
        }
        if random.oneIn(4) { parts.append("CHECK (\(constraint(names, 2)))") }
        var options: [String] = []
        if random.oneIn(5) { options.append("WITHOUT ROWID") }
        if isStrict { options.append("STRICT") }
        add(Table(name: name, columns: names))
        return "CREATE TABLE \(one(of: ["", "", "IF NOT EXISTS "]))\(Self.quoted(name)) "
            + "(\(parts.joined(separator: ", "))) \(options.joined(separator: ", "))"
    }

    private mutating func add(_ table: Table) {
        tables.append(table)
        tableNames.insert(RawText(table.name))
    }

    private mutating func constraint(_ columns: [String], _ depth: Int) -> String {
        isConstraint = true
        defer { isConstraint = false }
        return expression(columns, depth)
    }

    private mutating func columnDefinition(_ name: String, _ isStrict: Bool) -> String {
        var text = "\(Self.quoted(name)) \(one(of: isStrict ? Self.strictTypes : Self.types))"
        if random.oneIn(6) { text += " NOT NULL\(one(of: Self.conflicts))" }
        if random.oneIn(5) { text += " DEFAULT (\(constraint([], 1)))" }
        if random.oneIn(8) { text += " UNIQUE\(one(of: Self.conflicts))" }
        if random.oneIn(5) { text += " COLLATE \(one(of: ["NOCASE", "RTRIM", "BINARY"]))" }
        if random.oneIn(10) { text += " CHECK (\(constraint([name], 1)))" }
        if random.oneIn(40) { text += " GENERATED ALWAYS AS (1)" }
        return text
    }

    private mutating func createView() -> String {
        let name = newName()
        let text = "CREATE VIEW \(Self.quoted(name)) AS \(select(depth: 2))"
        views.append(name)
        return text
    }

    private mutating func createIndex() -> String {
        let table = table()
        serial += 1
        let name = "i\(serial)"
        indexes.append(name)
        let term = random.oneIn(2) ? Self.quoted(one(of: table.columns)) : "(\(constraint(table.columns, 1)))"
        let part = random.oneIn(3) ? " WHERE \(constraint(table.columns, 1))" : ""
        return "CREATE \(one(of: ["", "UNIQUE "]))INDEX \(name) ON \(Self.quoted(table.name)) "
            + "(\(term)\(one(of: ["", " DESC", " COLLATE NOCASE"])))\(part)"
    }

    private mutating func alter() -> String {
        let index = number(UInt64(tables.count))
        guard tables.indices.contains(index) else { return "ALTER TABLE none ADD COLUMN x" }
        let head = "ALTER TABLE \(Self.quoted(tables[index].name))"
        let column = one(of: tables[index].columns)
        switch number(4) {
        case 0:
            let name = one(of: Self.columnNames) + "n"
            tables[index].columns.append(name)
            return "\(head) ADD COLUMN \(columnDefinition(name, false))"
        case 1:
            return "\(head) DROP COLUMN \(Self.quoted(column))"
        case 2:
            let name = newName()
            add(Table(name: name, columns: tables[index].columns))
            tables.remove(at: index)
            return "\(head) RENAME TO \(Self.quoted(name))"
        default:
            let name = one(of: Self.columnNames) + "r"
            tables[index].columns.append(name)
            return "\(head) RENAME COLUMN \(Self.quoted(column)) TO \(Self.quoted(name))"
        }
    }

    private mutating func drop() -> String {
        switch number(3) {
        case 0: "DROP VIEW \(Self.quoted(random.pick(views) ?? "none"))"
        case 1: "DROP INDEX IF EXISTS \(Self.quoted(random.pick(indexes) ?? "none"))"
        default: "DROP TABLE \(Self.quoted(table().name))"
        }
    }

    private mutating func insert() -> String {
        let table = table()
        let verb = one(of: [
            "INSERT", "INSERT", "INSERT OR IGNORE", "INSERT OR REPLACE", "INSERT OR ABORT", "INSERT OR FAIL",
            "REPLACE",
        ])
        let columns = table.columns.prefix(1 + number(UInt64(table.columns.count)))
        let head =
            "\(verb) INTO \(Self.quoted(table.name)) (\(columns.map(Self.quoted).joined(separator: ", ")))"
        var body: String
        if random.oneIn(5) {
            let values = columns.map { _ in expression(["i"], 2) }.joined(separator: ", ")
            body =
                "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < \(1 + number(200)))"
                + " SELECT \(values) FROM c WHERE true"
        } else {
            body =
                "VALUES "
                + (0...number(3)).map { _ in
                    "(" + columns.map { _ in expression([], 2) }.joined(separator: ", ") + ")"
                }.joined(separator: ", ")
        }
        if random.oneIn(4) {
            let first = Self.quoted(table.columns[0])
            body +=
                random.oneIn(3)
                ? " ON CONFLICT DO NOTHING"
                : " ON CONFLICT (\(first)) DO UPDATE SET \(Self.quoted(one(of: table.columns)))"
                    + " = \(expression(table.columns, 2))"
        }
        return "\(head) \(body)\(returning(table))"
    }

    private mutating func returning(_ table: Table) -> String {
        random.oneIn(6) ? " RETURNING \(expression(table.columns, 2))" : ""
    }

    private mutating func update() -> String {
        let table = table()
        let verb = one(of: ["UPDATE", "UPDATE", "UPDATE OR IGNORE", "UPDATE OR REPLACE", "UPDATE OR FAIL"])
        let filter = random.oneIn(3) ? "" : " WHERE \(expression(table.columns, 2))"
        return "\(verb) \(Self.quoted(table.name)) SET \(Self.quoted(one(of: table.columns)))"
            + " = \(expression(table.columns, 3))\(filter)\(returning(table))"
    }

    private mutating func delete() -> String {
        let table = table()
        let filter = random.oneIn(8) ? "" : " WHERE \(expression(table.columns, 2))"
        return "DELETE FROM \(Self.quoted(table.name))\(filter)\(returning(table))"
    }

    /// Returns a SELECT, in which ties have no defined order.
    mutating func select(depth: Int) -> String {
        let table = table()
        let source = random.oneIn(5) ? Self.quoted(random.pick(views) ?? table.name) : Self.quoted(table.name)
        var text =
            "SELECT \(one(of: ["", "", "DISTINCT "]))\(expression(table.columns, depth)) AS x FROM \(source)"
        if random.oneIn(4) { text += join(table) }
        if random.oneIn(2) { text += " WHERE \(expression(table.columns, depth))" }
        if random.oneIn(4) {
            text += " GROUP BY \(expression(table.columns, 1))"
            if random.oneIn(3) { text += " HAVING \(expression(table.columns, 1))" }
        }
        if random.oneIn(6) {
            text += " \(one(of: ["UNION", "UNION ALL", "EXCEPT", "INTERSECT"])) SELECT \(expression([], 1))"
        }
        if random.oneIn(4) { text += " ORDER BY 1\(one(of: ["", " DESC", " NULLS LAST"]))" }
        if random.oneIn(3) { text += " LIMIT \(number(5))" }
        if random.oneIn(5) {
            text =
                "WITH c(x) AS \(one(of: ["", "MATERIALIZED ", "NOT MATERIALIZED "]))(\(text)) SELECT x FROM c UNION ALL SELECT x FROM c"
        }
        return text
    }

    private mutating func join(_ table: Table) -> String {
        let other = self.table()
        let name = Self.quoted(other.name)
        switch number(5) {
        case 0: return " CROSS JOIN \(name) AS o"
        case 1:
            let on = "o.\(Self.quoted(one(of: other.columns))) = \(expression(table.columns, 1))"
            return " \(one(of: ["", "LEFT ", "RIGHT ", "FULL "]))JOIN \(name) AS o ON \(on)"
        case 2: return " NATURAL JOIN \(name)"
        default: return ", \(one(of: ["json_each", "json_tree"]))(\(expression(table.columns, 1))) AS j"
        }
    }
}
