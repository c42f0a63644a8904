import Bytes
import CShims

/// A prepared statement. Used by one thread at a time, as its connection is.
final class SQLiteStatement {
    /// SQLite's `sqlite3_stmt *`, valid for as long as this object lives.
    let handle: OpaquePointer
    private let connection: SQLiteConnection

    init(_ handle: OpaquePointer, of connection: SQLiteConnection) {
        self.handle = handle
        self.connection = connection
    }

    deinit {
        sqlite3_finalize(handle)
    }

    /// Goes on to the next row; false at the end.
    func step() throws(SQLiteFailure) -> Bool {
        let code = sqlite3_step(handle)
        switch code {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default: throw connection.failure(code)
        }
    }

    /// Makes the statement ready to run again. What it failed with has been reported by `step`.
    func reset() {
        sqlite3_reset(handle)
        sqlite3_clear_bindings(handle)
    }

    /// Runs the node's own statement to its end and resets it.
    func run() throws(SQLiteFailure) {
        defer { reset() }
        while try step() {}
    }

    /// Makes the statement ready to run again with the same values.
    func rewind() { sqlite3_reset(handle) }

    /// The instructions that were run since the last call. To be called before a run too, so that a statement kept since
    /// many blocks stops where a fresh one does.
    @discardableResult
    func takeInstructionCount() -> Int { Int(sqlite3_stmt_status(handle, SQLITE_STMTSTATUS_VM_STEP, 1)) }

    /// Whether running it writes nothing.
    var isReadOnly: Bool { sqlite3_stmt_readonly(handle) != 0 }

    /// Number of parameters.
    var parameterCount: Int { Int(sqlite3_bind_parameter_count(handle)) }

    /// The name of parameter `index`, from 1, with its sign; nil for `?`.
    func parameterName(_ index: Int) -> RawText? {
        sqlite3_bind_parameter_name(handle, Int32(clamping: index)).map { RawText(String(cString: $0)) }
    }

    /// Binds an integer to parameter `index`, from 1.
    func bind(_ index: Int, _ value: Int64) throws(SQLiteFailure) {
        try connection.check(sqlite3_bind_int64(handle, Int32(clamping: index), value))
    }

    /// Binds a text.
    func bind(_ index: Int, _ value: String) throws(SQLiteFailure) {
        var value = value
        let code = value.withUTF8 {
            apus_sqlite_bind_text(handle, Int32(clamping: index), $0.baseAddress, UInt64($0.count))
        }
        try connection.check(code)
    }

    /// Binds bytes.
    func bind(_ index: Int, _ value: UnsafeRawBufferPointer) throws(SQLiteFailure) {
        try connection.check(
            apus_sqlite_bind_blob(handle, Int32(clamping: index), value.baseAddress, UInt64(value.count)))
    }

    /// Binds bytes.
    func bind(_ index: Int, _ value: [UInt8]) throws(SQLiteFailure) {
        try connection.check(
            value.withUnsafeBytes {
                apus_sqlite_bind_blob(handle, Int32(clamping: index), $0.baseAddress, UInt64($0.count))
            })
    }

    /// Binds NULL.
    func bindNull(_ index: Int) throws(SQLiteFailure) {
        try connection.check(sqlite3_bind_null(handle, Int32(clamping: index)))
    }

    /// Number of columns of a row; 0 for a statement that yields none.
    var columnCount: Int { Int(sqlite3_column_count(handle)) }

    /// The name of column `index`, from 0.
    func columnName(_ index: Int) -> String {
        sqlite3_column_name(handle, Int32(clamping: index)).map { String(cString: $0) } ?? ""
    }

    /// The type that the column's table declares; nil for an expression.
    func columnDeclaration(_ index: Int) -> String? {
        sqlite3_column_decltype(handle, Int32(clamping: index)).map { String(cString: $0) }
    }

    /// The storage class of column `index` in the current row: `SQLITE_INTEGER`, `SQLITE_NULL` and so on.
    func columnClass(_ index: Int) -> Int32 { sqlite3_column_type(handle, Int32(clamping: index)) }

    /// Column `index` as an integer.
    func int(_ index: Int) -> Int64 { sqlite3_column_int64(handle, Int32(clamping: index)) }

    /// Column `index` as a double.
    func double(_ index: Int) -> Double { sqlite3_column_double(handle, Int32(clamping: index)) }

    /// Column `index` as a text; bytes that are not UTF-8 are replaced.
    func text(_ index: Int) -> String {
        let index = Int32(clamping: index)
        guard let text = sqlite3_column_text(handle, index) else { return "" }
        return String(
            decoding: UnsafeBufferPointer(start: text, count: Int(sqlite3_column_bytes(handle, index))),
            as: UTF8.self)
    }

    /// Column `index` as a text from outside.
    func rawText(_ index: Int) -> RawText { RawText(text(index)) }

    /// Column `index` as bytes.
    func bytes(_ index: Int) -> [UInt8] {
        let index = Int32(clamping: index)
        guard let base = sqlite3_column_blob(handle, index) else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: base, count: Int(sqlite3_column_bytes(handle, index))))
    }

    /// Bytes of column `index`'s text or blob, 8 for any other value.
    func size(_ index: Int) -> Int {
        switch columnClass(index) {
        case SQLITE_TEXT, SQLITE_BLOB: Int(sqlite3_column_bytes(handle, Int32(clamping: index)))
        default: 8
        }
    }
}
