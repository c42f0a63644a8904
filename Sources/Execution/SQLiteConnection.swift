import Bytes
import CShims

/// A connection to one SQLite database file (https://sqlite.org/c3ref/intro.html).
///
/// Opened without SQLite's own mutex: its owner sees to it that one thread at a time uses it and its statements.
final class SQLiteConnection {
    /// What a connection may do.
    enum Access {
        /// Reads and writes; the file is made when it is missing.
        case readWrite
        /// Reads committed state.
        case readOnly
        /// Reads what is in the file, whatever its write-ahead log says, and touches nothing.
        case fileAlone
    }

    /// The database's path.
    let path: String
    /// SQLite's `sqlite3 *`, valid for as long as this object lives.
    let handle: OpaquePointer
    /// Decides what statements may do; consulted while they are prepared.
    let policy: StatementPolicy

    init(path: String, access: Access) throws(SQLiteFailure) {
        self.path = path
        guard Self.processSettings == SQLITE_OK else {
            throw SQLiteFailure(
                code: Self.processSettings,
                message: "SQLite was in use before it was given its heap and told how to sort", file: path)
        }
        let flags: Int32
        switch access {
        case .readWrite: flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        case .readOnly: flags = SQLITE_OPEN_READONLY
        case .fileAlone: flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
        }
        let name = if case .fileAlone = access { Self.immutableName(path) } else { path }
        var opened: OpaquePointer?
        let code = sqlite3_open_v2(name, &opened, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard let opened else {
            throw SQLiteFailure(code: SQLITE_NOMEM, message: "out of memory", file: path)
        }
        guard code == SQLITE_OK else {
            let failure = SQLiteFailure(code: code, of: opened, file: path)
            sqlite3_close_v2(opened)
            throw failure
        }
        handle = opened
        policy = StatementPolicy()
        try configure()
    }

    /// SQLite's answer to the settings for the whole process, which are made once, before the first connection. What a
    /// statement costs must depend neither on the library's allocator nor on the page cache.
    private static let processSettings: Int32 = {
        let code = apus_sqlite_heap_install()
        return code == SQLITE_OK ? apus_sqlite_sort_in_runs(ExecutionLimits.sortPages) : code
    }()

    deinit {
        sqlite3_close_v2(handle)
    }

    /// A path as an URI (https://sqlite.org/uri.html) that leaves the write-ahead log and all locks alone.
    private static func immutableName(_ path: String) -> String {
        var name = "file:"
        for byte in path.utf8 {
            if byte >= 0x80 || "%?#".utf8.contains(byte) {
                name += "%" + Hex.encode([byte])
            } else {
                name.unicodeScalars.append(Unicode.Scalar(byte))
            }
        }
        return name + "?immutable=1"
    }

    /// Settings that keep statements inside the database and inside the limits.
    private func configure() throws(SQLiteFailure) {
        sqlite3_busy_timeout(handle, ExecutionLimits.busyMilliseconds)
        let switches: [(Int, Int32)] = [
            (Int(SQLITE_DBCONFIG_DEFENSIVE), 1), (Int(SQLITE_DBCONFIG_ENABLE_FKEY), 1),
            (Int(SQLITE_DBCONFIG_ENABLE_TRIGGER), 0), (Int(SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION), 0),
            (Int(SQLITE_DBCONFIG_TRUSTED_SCHEMA), 0), (Int(SQLITE_DBCONFIG_DQS_DML), 0),
            (Int(SQLITE_DBCONFIG_DQS_DDL), 0), (Int(SQLITE_DBCONFIG_ENABLE_QPSG), 1),
        ]
        for (option, value) in switches {
            try check(apus_sqlite_db_config(handle, Int32(option), value))
        }
        for (limit, value) in ExecutionLimits.sqlite { sqlite3_limit(handle, limit, Int32(clamping: value)) }
        let context = Unmanaged.passUnretained(policy).toOpaque()
        let code = sqlite3_set_authorizer(
            handle,
            { context, action, first, second, database, _ in
                guard let context else { return SQLITE_DENY }
                return Unmanaged<StatementPolicy>.fromOpaque(context).takeUnretainedValue()
                    .decide(action, first, second, database)
            }, context)
        try check(code)
    }

    /// Runs statements of the node's own that yield no rows.
    func execute(_ sql: String) throws(SQLiteFailure) {
        try check(sqlite3_exec(handle, sql, nil, nil, nil))
    }

    /// Prepares one statement; `isPersistent` says that it will be run often.
    func prepare(_ sql: String, isPersistent: Bool = false) throws(SQLiteFailure) -> SQLiteStatement {
        var sql = sql
        var handle: OpaquePointer?
        var rest = 0
        let code = sql.withUTF8 { text in
            text.withMemoryRebound(to: CChar.self) { text in
                var tail: UnsafePointer<CChar>?
                let code = sqlite3_prepare_v3(
                    self.handle, text.baseAddress, Int32(clamping: text.count),
                    isPersistent ? UInt32(SQLITE_PREPARE_PERSISTENT) : 0, &handle, &tail)
                if let tail, let base = text.baseAddress { rest = text.count - (tail - base) }
                return code
            }
        }
        try check(code)
        guard let handle else {
            throw SQLiteFailure(code: SQLITE_ERROR, message: "the statement is empty", file: path)
        }
        let statement = SQLiteStatement(handle, of: self)
        guard rest == 0 else {
            throw SQLiteFailure(code: SQLITE_ERROR, message: "only one statement is allowed", file: path)
        }
        return statement
    }

    /// Whether a table of the database has a column; of a row ID's names, whether it has row IDs.
    func hasColumn(_ column: StaticString, in table: RawText) -> Bool {
        column.withUTF8Buffer { column in
            column.withMemoryRebound(to: CChar.self) { column in
                sqlite3_table_column_metadata(
                    handle, "main", table.string, column.baseAddress, nil, nil, nil, nil, nil) == SQLITE_OK
            }
        }
    }

    /// Whether no transaction is open.
    var isAutocommit: Bool { sqlite3_get_autocommit(handle) != 0 }

    /// Foreign keys that point nowhere now and would make the commit fail.
    var hasDeferredViolations: Bool {
        var current: Int32 = 0
        var highest: Int32 = 0
        guard sqlite3_db_status(handle, SQLITE_DBSTATUS_DEFERRED_FKS, &current, &highest, 0) == SQLITE_OK
        else {
            return true
        }
        return current != 0
    }

    /// Throws unless a result code is success.
    func check(_ code: Int32) throws(SQLiteFailure) {
        guard code == SQLITE_OK else { throw failure(code) }
    }

    /// The failure behind a result code.
    func failure(_ code: Int32) -> SQLiteFailure {
        SQLiteFailure(code: code, of: handle, file: path)
    }
}
