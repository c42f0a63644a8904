import Bytes
import CShims

/// The rules that ensure that rows have keys and are the same on every node (docs/execution.md, "Tables").
struct TableRules {
    let connection: SQLiteConnection

    /// A column as SQLite describes it.
    private struct Column {
        let name: RawText
        let type: RawText
        let isNotNull: Bool
        let defaultValue: String?
        let isInPrimaryKey: Bool
        let isOrdinary: Bool
    }

    /// Returns whether a table or view of this name exists.
    func exists(_ table: RawText) throws(SQLiteFailure) -> Bool {
        let statement = try connection.prepare(
            "SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE")
        try statement.bind(1, table.string)
        return try statement.step()
    }

    /// Returns the text of a CREATE TABLE statement that has just run, with the constraints that its table lacks; nil
    /// if it lacks none.
    ///
    /// They rule out two behaviours of SQLite: it allows any number of NULLs in a primary key, and it picks row IDs at
    /// random once a table contains 2^63 - 1.
    func completed(_ sql: RawText, creating table: RawText) throws(SQLiteFailure) -> RawText? {
        var constraints: [String] = []
        let columns = try columns(of: table)
        guard !columns.isEmpty else {
            throw SQLiteFailure(
                code: SQLITE_ERROR, message: "table \(table) is not found after it was made",
                file: connection.path)
        }
        let nullable = columns.filter { $0.isInPrimaryKey && !$0.isNotNull }
        if !nullable.isEmpty {
            let terms = nullable.map { "\(Self.quoted($0.name)) IS NOT NULL" }
            constraints.append(
                "CONSTRAINT \"primary key must not be NULL\" CHECK (\(terms.joined(separator: " AND ")))")
        }
        if hasRowID(table) {
            constraints.append("CONSTRAINT \"row ID is too large\" CHECK (_rowid_ < \(Int64.max))")
        }
        guard !constraints.isEmpty, let end = SQLScanner.endOfFirstList(in: sql) else { return nil }
        let bytes = Array(sql.utf8)
        let added = constraints.map { ", \($0)" }.joined()
        return RawText(decoding: bytes[..<end] + Array("\n\(added)".utf8) + bytes[end...])
    }

    /// Returns the fault of the schema of these sizes; nil if it follows all rules.
    func violation(_ sizes: SchemaSizes) throws(SQLiteFailure) -> StatementFault? {
        var tables: [RawText] = []
        var count: Int64 = 0
        let objects = try connection.prepare("SELECT type, name FROM sqlite_master ORDER BY rowid")
        while try objects.step() {
            let name = objects.rawText(1)
            count += 1
            if name.foldedASCII.hasPrefix("sqlite_") || Self.internalTables.contains(name) { continue }
            guard !connection.policy.isReserved(name.foldedASCII) else {
                return StatementFault("the name \(name) is reserved")
            }
            if objects.rawText(0) == "table" { tables.append(name) }
        }
        guard count <= Int64(CostModel.schemaObjects.value) else {
            return StatementFault(
                "a database may hold \(CostModel.schemaObjects.value) tables, indexes and views")
        }
        for table in tables {
            if let fault = try violation(in: table) { return fault }
        }
        return sizes.violation
    }

    private func violation(in table: RawText) throws(SQLiteFailure) -> StatementFault? {
        let columns = try columns(of: table)
        guard columns.contains(where: \.isInPrimaryKey) else {
            return StatementFault("table \(table) needs a PRIMARY KEY")
        }
        // A foreign key that does not match the parent table makes writes to it fail. The node's own writes must not.
        for parent in try parents(of: table) where connection.policy.isReserved(parent.foldedASCII) {
            return StatementFault("foreign keys may not point at \(parent)")
        }
        for column in columns {
            guard column.isOrdinary else {
                return StatementFault("generated columns are not allowed: \(table).\(column.name)")
            }
            guard !Self.reservedColumns.contains(column.name.foldedASCII) else {
                return StatementFault("the column name \(column.name) is reserved")
            }
            // While SQLite compiles an INSERT, it does not ask the authorizer about functions in defaults.
            guard let value = column.defaultValue else { continue }
            if let fault = ColumnDefault(type: column.type, text: value).fault {
                return StatementFault("the default of \(table).\(column.name) is not allowed: \(fault)")
            }
            let policy = connection.policy
            do {
                _ = try policy.with(.statement) { () throws(SQLiteFailure) in
                    try connection.prepare("SELECT (\(value))")
                }
            } catch {
                guard error.isStatementFault else { throw error }
                return StatementFault(
                    "the default of \(table).\(column.name) is not allowed: \(policy.findings.refusal ?? error.message)"
                )
            }
        }
        return nil
    }

    private func columns(of table: RawText) throws(SQLiteFailure) -> [Column] {
        let statement = try connection.prepare(
            "SELECT name, \"notnull\", dflt_value, pk, hidden, type FROM pragma_table_xinfo(?, 'main') ORDER BY cid"
        )
        try statement.bind(1, table.string)
        var columns: [Column] = []
        while try statement.step() {
            columns.append(
                Column(
                    name: statement.rawText(0), type: statement.rawText(5), isNotNull: statement.int(1) != 0,
                    defaultValue: statement.columnClass(2) == SQLITE_NULL ? nil : statement.text(2),
                    isInPrimaryKey: statement.int(3) > 0, isOrdinary: statement.int(4) == 0))
        }
        return columns
    }

    private func parents(of table: RawText) throws(SQLiteFailure) -> [RawText] {
        let statement = try connection.prepare("SELECT \"table\" FROM pragma_foreign_key_list(?, 'main')")
        try statement.bind(1, table.string)
        var parents: [RawText] = []
        while try statement.step() { parents.append(statement.rawText(0)) }
        return parents
    }

    /// Asks only about this table: `pragma_table_list` would compile views that the connection has not used yet.
    private func hasRowID(_ table: RawText) -> Bool { connection.hasColumn("_rowid_", in: table) }

    /// Returns a name as a quoted SQL identifier.
    static func quoted(_ name: RawText) -> RawText {
        var bytes = [UInt8(ascii: "\"")]
        for byte in name.utf8 { bytes += byte == bytes[0] ? [byte, byte] : [byte] }
        return RawText(decoding: bytes + bytes.prefix(1))
    }

    /// Names that mean something else unless a column has them. An index on such a name would change its meaning with
    /// the table's columns and no longer match the rows.
    private static let reservedColumns: Set<RawText> = ["_rowid_", "rowid", "oid", "true", "false"]

    /// The node's own tables.
    static let internalTables: Set<RawText> = ["apus_state", "apus_accounts", "apus_validator_requests"]
}
