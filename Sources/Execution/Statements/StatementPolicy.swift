import Bytes
import CShims
import Glibc

/// SQLite's authorizer (https://sqlite.org/c3ref/set_authorizer.html): decides what a statement may do while SQLite
/// compiles it, and records what the statement does.
///
/// The node's own statements are compiled with `.trusted`. Statements of transactions are compiled with `.statement`
/// and must do the same on every node; queries are compiled and run with `.query` and must only read. Reasons for
/// refusals are part of the protocol, because they become results of transactions.
final class StatementPolicy {
    /// The origin of a statement.
    enum Mode {
        /// The node itself.
        case trusted
        /// A transaction.
        case statement
        /// A user's query, outside consensus.
        case query
    }

    /// What the authorizer has learned about the statement being compiled.
    struct Findings {
        /// It creates, alters or drops a table, an index or a view.
        var changesSchema = false
        /// It alters a table, for which SQLite reads and writes its own tables.
        var altersTable = false
        /// It writes to the table of grants.
        var writesGrants = false
        /// The table that it creates.
        var createdTable: RawText?
        /// The table that it drops.
        var droppedTable: RawText?
        /// It reads the schema table itself.
        var readsSchema = false
        /// It contains a SELECT.
        var selects = false
        /// Why it was refused, in more detail than SQLite's "not authorized".
        var refusal: String?
    }

    /// The origin of the statement being compiled or run.
    private(set) var mode = Mode.trusted
    /// The findings for the statement being compiled.
    private(set) var findings = Findings()
    /// The folded names of built-in virtual tables, which need no CREATE TABLE and expose the node's internals.
    var reservedModules: Set<RawText> = []

    /// The prefix of tables that statements may not write.
    static let internalPrefix: StaticString = "apus_"
    /// The table of identifiers that may write, besides the database's owner.
    static let grantsTable: RawText = "grants"

    /// Runs `body` in `mode`, starting with empty findings.
    func with<R, E: Error>(_ mode: Mode, _ body: () throws(E) -> R) throws(E) -> R {
        let before = self.mode
        self.mode = mode
        findings = Findings()
        defer { self.mode = before }
        return try body()
    }

    /// Returns `SQLITE_OK` or `SQLITE_DENY` for an action of the statement being compiled.
    func decide(
        _ action: Int32, _ first: UnsafePointer<CChar>?, _ second: UnsafePointer<CChar>?,
        _ database: UnsafePointer<CChar>?
    ) -> Int32 {
        if mode == .trusted { return SQLITE_OK }
        // SQLite folds only ASCII letters, so no other name denotes a table.
        let given = first.map { RawText(String(cString: $0)) } ?? ""
        let first = given.foldedASCII
        let second = second.map { RawText(String(cString: $0)).foldedASCII } ?? ""
        switch action {
        case SQLITE_SELECT:
            findings.selects = true
            return SQLITE_OK
        case SQLITE_RECURSIVE:
            return SQLITE_OK
        case SQLITE_READ:
            return read(first)
        case SQLITE_FUNCTION:
            return call(second)
        case SQLITE_INSERT, SQLITE_UPDATE, SQLITE_DELETE:
            return write(first)
        case SQLITE_CREATE_TABLE:
            return change(first, database, creating: given)
        case SQLITE_CREATE_VIEW, SQLITE_DROP_VIEW:
            return change(first, database)
        case SQLITE_CREATE_INDEX, SQLITE_DROP_INDEX:
            return change(second, database, also: first)
        case SQLITE_DROP_TABLE:
            findings.droppedTable = given
            return change(first, database)
        case SQLITE_ALTER_TABLE:
            // Here the first name is the database's and the second the table's.
            guard first == "main" else {
                return refuse("temporary objects and other databases are not allowed")
            }
            findings.altersTable = true
            return change(second, nil)
        case SQLITE_REINDEX:
            // ALTER TABLE and CREATE INDEX cause it; a statement that begins with REINDEX is refused before.
            return findings.changesSchema ? SQLITE_OK : refuse("REINDEX is not allowed")
        case SQLITE_TRANSACTION, SQLITE_SAVEPOINT:
            return refuse("statements may not begin, end or roll back transactions")
        case SQLITE_ATTACH, SQLITE_DETACH:
            return refuse("other databases may not be attached")
        case SQLITE_PRAGMA:
            return refuse("PRAGMA is not allowed")
        case SQLITE_CREATE_TRIGGER, SQLITE_CREATE_TEMP_TRIGGER, SQLITE_DROP_TRIGGER, SQLITE_DROP_TEMP_TRIGGER:
            return refuse("triggers are not allowed")
        case SQLITE_CREATE_VTABLE, SQLITE_DROP_VTABLE:
            return refuse("virtual tables are not allowed")
        case SQLITE_ANALYZE:
            return refuse("ANALYZE is not allowed")
        default:
            return refuse("temporary objects and other databases are not allowed")
        }
    }

    private func refuse(_ reason: String) -> Int32 {
        if findings.refusal == nil { findings.refusal = reason }
        return SQLITE_DENY
    }

    private static let schemaTables: Set<RawText> = [
        "sqlite_master", "sqlite_schema", "sqlite_temp_master", "sqlite_temp_schema",
    ]

    private func isSchemaTable(_ name: RawText) -> Bool { Self.schemaTables.contains(name) }

    /// Returns whether statements may not use a table of this folded name.
    func isReserved(_ name: RawText) -> Bool {
        name.hasPrefix(Self.internalPrefix) || name.hasPrefix("sqlite_") || name.hasPrefix("pragma_")
            || reservedModules.contains(name)
    }

    private func read(_ table: RawText) -> Int32 {
        if isSchemaTable(table) {
            findings.readsSchema = true
            return SQLITE_OK
        }
        if !isReserved(table) || findings.changesSchema && table.hasPrefix("sqlite_") { return SQLITE_OK }
        return refuse("table \(table) may not be read")
    }

    private func call(_ function: RawText) -> Int32 {
        if SQLFunctions.deterministic.contains(function) { return SQLITE_OK }
        switch mode {
        case .query where SQLFunctions.queries.contains(function):
            return SQLITE_OK
        case .statement where findings.altersTable && SQLFunctions.alterTable.contains(function):
            return SQLITE_OK
        case .statement where SQLFunctions.queries.contains(function):
            return refuse("function \(function) is not allowed: its result may differ between nodes")
        default:
            return refuse("function \(function) is not allowed")
        }
    }

    private func write(_ table: RawText) -> Int32 {
        guard mode == .statement else { return refuse("queries may only read") }
        // These are SQLite's own writes: it lets no statement write to the schema table.
        if isSchemaTable(table) { return SQLITE_OK }
        if findings.changesSchema, table.hasPrefix("sqlite_") { return SQLITE_OK }
        guard !isReserved(table) else { return refuse("table \(table) may not be written") }
        if table == Self.grantsTable { findings.writesGrants = true }
        return SQLITE_OK
    }

    private func change(
        _ table: RawText, _ database: UnsafePointer<CChar>?, also other: RawText = "",
        creating given: RawText? = nil
    ) -> Int32 {
        guard mode == .statement else { return refuse("queries may only read") }
        if let database, strcmp(database, "main") != 0 {
            return refuse("temporary objects and other databases are not allowed")
        }
        guard !isReserved(table), !isReserved(other) || other.hasPrefix("sqlite_autoindex_") else {
            return refuse("the name \(isReserved(table) ? table : other) is reserved")
        }
        guard table != Self.grantsTable else { return refuse("the table \(table) may not be altered") }
        findings.changesSchema = true
        if let given { findings.createdTable = given }
        return SQLITE_OK
    }
}
