import Bytes
import CShims
import Chain
import Crypto
import Glibc

/// Hashes the changes of a block (docs/execution.md, "App hash"): the rows that each statement inserts, updates and
/// deletes, as SQLite's preupdate hook reports them (https://sqlite.org/c3ref/preupdate_count.html); the texts of
/// statements that change the schema; and validator updates. It charges each row to the statement that writes it.
///
/// The hash does not cover a statement that is undone.
final class ChangeRecorder {
    /// The number of bytes collected before they are hashed.
    private static let bufferSize = 64 * 1024

    /// The kind of a part, which the hash covers.
    private enum Part: UInt8 {
        case rows = 0
        case schemaChange = 1
        case validators = 2
    }

    private let connection: SQLiteConnection
    private let meter: CostMeter
    private let rowUnits = CostModel.row.value
    private let bytesOfUnit = CostModel.rowBytes.value

    private var parts: SHA256?
    private var isRecording = false
    /// The changes of the current statement that are not hashed yet.
    private var buffer: [UInt8] = []
    private var hasher: SHA256?
    /// The source of the number of indexes of a table; nil for the node's own writes, which cost nothing.
    private var sizes: SchemaSizes?
    /// The table of the last row, by SQLite's pointer to its name, and the number of copies that a row writes: one for
    /// the table and one for each index.
    private var table: (name: UnsafePointer<CChar>, copies: Int)?
    private var failure: SQLiteFailure?

    /// Records the changes of a connection for as long as both exist. The hook alone makes SQLite compile a DELETE of
    /// all rows as a loop over the rows.
    init(_ connection: SQLiteConnection, _ meter: CostMeter) {
        self.connection = connection
        self.meter = meter
        buffer.reserveCapacity(Self.bufferSize)
        sqlite3_preupdate_hook(
            connection.handle,
            { context, _, operation, _, table, _, _ in
                guard let context, let table else { return }
                Unmanaged<ChangeRecorder>.fromOpaque(context).takeUnretainedValue().changed(operation, table)
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Starts a block.
    func begin() {
        parts = SHA256()
        drop()
    }

    /// Starts a statement and charges its rows; without `sizes`, starts the node's own writes, which are free.
    func beginStatement(_ sizes: SchemaSizes?) {
        drop()
        self.sizes = sizes
        isRecording = true
    }

    /// Discards the statement's changes so far, which are undone, and continues recording.
    func restartStatement() { beginStatement(sizes) }

    /// Adds the statement's changes to the hash, and its text if it changed the schema.
    func endStatement(schemaChange: RawText? = nil) throws(SQLiteFailure) {
        defer { drop() }
        if let failure { throw failure }
        if hasher != nil {
            hashBuffer()
            if let hash = hasher.take()?.finalize() { add(.rows, hash) }
        } else if !buffer.isEmpty {
            add(.rows, Hash.sha256(of: buffer))
        }
        if let schemaChange { add(.schemaChange, Hash.sha256(of: Array(schemaChange.utf8))) }
    }

    /// Discards the statement's changes, which are undone. Throws an error that prevented recording them.
    func abandonStatement() throws(SQLiteFailure) {
        defer { drop() }
        if let failure { throw failure }
    }

    /// Ends the block and returns the SHA-256 over its parts, each a byte for its kind and its own SHA-256. The
    /// validator updates are one part.
    func finish(_ validators: [Validator]) -> Hash {
        if !validators.isEmpty { add(.validators, Hash.sha256(of: validators.flatMap(\.bytes))) }
        return parts.take()?.finalize() ?? .zero
    }

    private func add(_ part: Part, _ hash: Hash) {
        parts?.update([part.rawValue])
        parts?.update(hash)
    }

    private func drop() {
        isRecording = false
        buffer.removeAll(keepingCapacity: buffer.capacity <= 2 * Self.bufferSize)
        hasher = nil
        sizes = nil
        table = nil
        failure = nil
    }

    private func hashBuffer() {
        if hasher == nil { hasher = SHA256() }
        hasher?.update(buffer)
        buffer.removeAll(keepingCapacity: buffer.capacity <= 2 * Self.bufferSize)
    }

    // MARK: The hook

    /// Records the operation, table and values of a row that is about to be written.
    private func changed(_ operation: Int32, _ name: UnsafePointer<CChar>) {
        guard isRecording, failure == nil else { return }
        let columns = sqlite3_preupdate_count(connection.handle)
        buffer.append(UInt8(truncatingIfNeeded: operation))
        append(UnsafeRawBufferPointer(start: name, count: strlen(name)))
        append(UInt32(bitPattern: columns))
        var bytes = 0
        if operation != SQLITE_INSERT { bytes += appendRow(columns, sqlite3_preupdate_old) }
        if operation != SQLITE_DELETE { bytes += appendRow(columns, sqlite3_preupdate_new) }
        if let sizes { meter.charge(copies(name, sizes) * (rowUnits + bytes / bytesOfUnit)) }
    }

    private func copies(_ name: UnsafePointer<CChar>, _ sizes: SchemaSizes) -> Int {
        if let table, table.name == name { return table.copies }
        let copies = 1 + sizes.indexes(of: RawText(String(cString: name)).foldedASCII)
        table = (name, copies)
        return copies
    }

    private typealias Reader = (OpaquePointer?, Int32, UnsafeMutablePointer<OpaquePointer?>?) -> Int32

    /// Appends the values of a row and returns their size in bytes.
    private func appendRow(_ columns: Int32, _ read: Reader) -> Int {
        var total = 0
        for column in 0..<max(columns, 0) {
            var value: OpaquePointer?
            let code = read(connection.handle, column, &value)
            guard code == SQLITE_OK, let value else {
                failure = connection.failure(code == SQLITE_OK ? SQLITE_NOMEM : code)
                return total
            }
            total += append(value)
            if buffer.count >= Self.bufferSize { hashBuffer() }
        }
        return total
    }

    /// Appends a value with its storage class and returns its size in bytes.
    private func append(_ value: OpaquePointer) -> Int {
        let type = sqlite3_value_type(value)
        buffer.append(UInt8(truncatingIfNeeded: type))
        switch type {
        case SQLITE_INTEGER:
            append(UInt64(bitPattern: sqlite3_value_int64(value)))
            return 8
        case SQLITE_FLOAT:
            append(sqlite3_value_double(value).bitPattern)
            return 8
        case SQLITE_TEXT, SQLITE_BLOB:
            let bytes =
                type == SQLITE_TEXT ? UnsafeRawPointer(sqlite3_value_text(value)) : sqlite3_value_blob(value)
            let count = Int(sqlite3_value_bytes(value))
            guard bytes != nil || count == 0 else {
                failure = SQLiteFailure(code: SQLITE_NOMEM, message: "out of memory", file: connection.path)
                return 0
            }
            append(UnsafeRawBufferPointer(start: bytes, count: count))
            return count
        default:
            return 1
        }
    }

    private func append(_ bytes: UnsafeRawBufferPointer) {
        append(UInt64(bytes.count))
        buffer.append(contentsOf: bytes)
    }

    private func append(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.bigEndian) { buffer.append(contentsOf: $0) }
    }
}
