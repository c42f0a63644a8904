import Bytes
import CShims

/// A compiled statement, used by one thread at a time like its connection.
final class SQLiteStatement {
    /// SQLite's `sqlite3_stmt *`, valid as long as this object exists.
    let handle: OpaquePointer
    private let connection: SQLiteConnection

    init(_ handle: OpaquePointer, of connection: SQLiteConnection) {
        self.handle = handle
        self.connection = connection
    }

    deinit {
        sqlite3_finalize(handle)
    }

    /// Advances to the next row; returns false at the end.
    func step() throws(SQLiteFailure) -> Bool {
        let code = sqlite3_step(handle)
        switch code {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default: throw connection.failure(code)
        }
    }

    /// Resets the statement and clears its parameters. Ignores a failure, which `step` has already thrown.
    func reset() {
        sqlite3_reset(handle)
        sqlite3_clear_bindings(handle)
    }

    /// Runs the node's own statement to completion and resets it.
    func run() throws(SQLiteFailure) {
        defer { reset() }
        while try step() {}
    }

    /// Resets the statement and keeps its parameters.
    func rewind() { sqlite3_reset(handle) }

    /// Returns the number of instructions run since the last call. Call it before a run too, so that a cached statement
    /// stops where a newly compiled one does.
    @discardableResult
    func takeInstructionCount() -> Int { Int(sqlite3_stmt_status(handle, SQLITE_STMTSTATUS_VM_STEP, 1)) }

    var isReadOnly: Bool { sqlite3_stmt_readonly(handle) != 0 }

    var parameterCount: Int { Int(sqlite3_bind_parameter_count(handle)) }

    /// Returns the name of parameter `index`, from 1, with its sign; nil for `?`.
    func parameterName(_ index: Int) -> RawText? {
        sqlite3_bind_parameter_name(handle, Int32(clamping: index)).map { RawText(String(cString: $0)) }
    }

    /// Binds an integer to parameter `index`, from 1.
    func bind(_ index: Int, _ value: Int64) throws(SQLiteFailure) {
        try connection.check(sqlite3_bind_int64(handle, Int32(clamping: index), value))
    }

    func bind(_ index: Int, _ value: String) throws(SQLiteFailure) {
        var value = value
        let code = value.withUTF8 {
            apus_sqlite_bind_text(handle, Int32(clamping: index), $0.baseAddress, UInt64($0.count))
        }
        try connection.check(code)
    }

    func bind(_ index: Int, _ value: some ByteSource) throws(SQLiteFailure) {
        try connection.check(
            value.withUnsafeBytes {
                apus_sqlite_bind_blob(handle, Int32(clamping: index), $0.baseAddress, UInt64($0.count))
            })
    }

    func bindNull(_ index: Int) throws(SQLiteFailure) {
        try connection.check(sqlite3_bind_null(handle, Int32(clamping: index)))
    }

    /// The number of columns of a row; 0 for a statement without rows.
    var columnCount: Int { Int(sqlite3_column_count(handle)) }

    /// Returns the name of column `index`, from 0.
    func columnName(_ index: Int) -> String {
        sqlite3_column_name(handle, Int32(clamping: index)).map { String(cString: $0) } ?? ""
    }

    /// Returns the declared type of a column; nil for an expression.
    func columnDeclaration(_ index: Int) -> String? {
        sqlite3_column_decltype(handle, Int32(clamping: index)).map { String(cString: $0) }
    }

    /// Returns the storage class of column `index` in the current row, such as `SQLITE_INTEGER`.
    func columnClass(_ index: Int) -> Int32 { sqlite3_column_type(handle, Int32(clamping: index)) }

    func int(_ index: Int) -> Int64 { sqlite3_column_int64(handle, Int32(clamping: index)) }

    func double(_ index: Int) -> Double { sqlite3_column_double(handle, Int32(clamping: index)) }

    /// Returns column `index` as a text, replacing invalid UTF-8.
    func text(_ index: Int) -> String {
        let index = Int32(clamping: index)
        guard let text = sqlite3_column_text(handle, index) else { return "" }
        return String(
            decoding: UnsafeBufferPointer(start: text, count: Int(sqlite3_column_bytes(handle, index))),
            as: UTF8.self)
    }

    /// Returns column `index` as a text from outside.
    func rawText(_ index: Int) -> RawText { RawText(text(index)) }

    func bytes(_ index: Int) -> [UInt8] {
        let index = Int32(clamping: index)
        guard let base = sqlite3_column_blob(handle, index) else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: base, count: Int(sqlite3_column_bytes(handle, index))))
    }

    /// Returns the size of the text or blob in column `index`, in bytes; 8 for any other value.
    func size(_ index: Int) -> Int {
        switch columnClass(index) {
        case SQLITE_TEXT, SQLITE_BLOB: Int(sqlite3_column_bytes(handle, Int32(clamping: index)))
        default: 8
        }
    }
}
