import Bytes
import CShims

/// A connection to an SQLite database file (https://sqlite.org/c3ref/intro.html).
///
/// Opened without SQLite's own mutex: its owner must ensure that one thread at a time uses it and its statements.
final class SQLiteConnection {
    /// The access that a connection has.
    enum Access {
        /// Reads and writes, creating the file if it is missing.
        case readWrite
        /// Reads committed state.
        case readOnly
        /// Reads the file without its write-ahead log and without locks.
        case fileAlone
    }

    let path: String
    /// SQLite's `sqlite3 *`, valid as long as this object exists.
    let handle: OpaquePointer
    /// Decides what statements may do while SQLite compiles them.
    let policy: StatementPolicy

    init(path: String, access: Access) throws(SQLiteFailure) {
        self.path = path
        guard Self.processSettings == SQLITE_OK else {
            throw SQLiteFailure(
                code: Self.processSettings,
                message: "SQLite was used before its heap and sorter were configured", file: path)
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

    /// The result code of the settings for the whole process, applied once before the first connection. They make the
    /// cost of a statement independent of the C library's allocator and of the page cache.
    private static let processSettings: Int32 = {
        let code = apus_sqlite_heap_install()
        return code == SQLITE_OK ? apus_sqlite_sort_in_runs(ExecutionLimits.sortPages) : code
    }()

    deinit {
        sqlite3_close_v2(handle)
    }

    /// Returns a path as a URI (https://sqlite.org/uri.html) that makes SQLite ignore the write-ahead log and all
    /// locks.
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

    /// Applies the settings that confine statements to the database and to the limits.
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

    /// Limits the page cache, which takes its memory when it needs it.
    func limitCache(toBytes bytes: Int) throws(SQLiteFailure) {
        // A negative number counts KiB (https://sqlite.org/pragma.html#pragma_cache_size).
        try execute("PRAGMA cache_size = -\(max(bytes / 1_024, 1))")
    }

    /// Runs the node's own statements, ignoring their rows.
    func execute(_ sql: String) throws(SQLiteFailure) {
        try check(sqlite3_exec(handle, sql, nil, nil, nil))
    }

    /// Compiles one statement; `isPersistent` announces that it will run often.
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

    /// Returns whether a table has a column; given a name of the row ID, whether the table has row IDs.
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

    /// Whether deferred foreign keys are violated, so that a commit would fail.
    var hasDeferredViolations: Bool {
        var current: Int32 = 0
        var highest: Int32 = 0
        guard sqlite3_db_status(handle, SQLITE_DBSTATUS_DEFERRED_FKS, &current, &highest, 0) == SQLITE_OK
        else {
            return true
        }
        return current != 0
    }

    /// Throws unless the result code is `SQLITE_OK`.
    func check(_ code: Int32) throws(SQLiteFailure) {
        guard code == SQLITE_OK else { throw failure(code) }
    }

    /// Returns the failure for a result code.
    func failure(_ code: Int32) -> SQLiteFailure {
        SQLiteFailure(code: code, of: handle, file: path)
    }
}
