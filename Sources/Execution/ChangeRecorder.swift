import Bytes
import CShims
import Chain
import Crypto
import Glibc

/// Hashes what a block changes, in parts: the rows that each statement has added, changed and removed, as SQLite's
/// preupdate hook reports them (https://sqlite.org/c3ref/preupdate_count.html), the texts of statements that changed the
/// schema, and validators (docs/execution.md, "Application hash"). Charges each row to the statement that writes it.
///
/// Nothing of a statement that is undone is in the hash.
final class ChangeRecorder {
    /// Bytes that are gathered before they are hashed.
    private static let bufferSize = 64 * 1024

    /// What a part is; goes into the hash.
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
    /// Whether changes are recorded now.
    private var isRecording = false
    /// Changes of the statement that runs; the first of them are in the hasher already if there are many.
    private var buffer: [UInt8] = []
    private var hasher: SHA256?
    /// Tells how many indexes a table has; nil for the node's own writes, which cost nothing.
    private var sizes: SchemaSizes?
    /// The table of the last row, by SQLite's pointer to its name, and what a row of it writes: itself, and its indexes.
    private var table: (name: UnsafePointer<CChar>, copies: Int)?
    private var failure: SQLiteFailure?

    /// Records for a connection, for as long as both live. Even while nothing is recorded the hook makes SQLite compile
    /// a DELETE of all rows as one of each row.
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

    /// Begins with a block.
    func begin() {
        parts = SHA256()
        drop()
    }

    /// Begins with a statement, whose rows are charged; or, without `sizes`, with the node's own writes.
    func beginStatement(_ sizes: SchemaSizes?) {
        drop()
        self.sizes = sizes
        isRecording = true
    }

    /// Forgets what the statement has changed so far, because it is undone.
    func restartStatement() {
        let sizes = sizes
        drop()
        self.sizes = sizes
        isRecording = true
    }

    /// Makes the statement's changes part of the hash; its text too if it has changed the schema.
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

    /// Forgets what the statement has changed, because it is undone. Throws what kept the recorder from seeing it.
    func abandonStatement() throws(SQLiteFailure) {
        defer { drop() }
        if let failure { throw failure }
    }

    /// Ends the block; SHA-256 over the parts, each a byte for its kind and its own SHA-256. Validators that the block
    /// changes are a part of their own.
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

    /// A row is about to be written: its operation, table and values go into the hash.
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

    /// Adds the values of a row; returns how many bytes they have.
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

    /// Adds a value by its class; returns how many bytes it has.
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
