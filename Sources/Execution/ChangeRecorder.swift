import CShims
import Chain
import Crypto

/// Records what a block changes with SQLite's session extension (https://sqlite.org/sessionintro.html) and hashes
/// it in parts: changesets, and, since sessions do not see schema changes, the texts of the statements that changed
/// the schema.
///
/// A session ends before each schema change and a new one begins after it, as no changeset can be made of a table
/// that looks different from when its rows changed.
final class ChangeRecorder {
    private let connection: SQLiteConnection
    private var session: OpaquePointer?
    private let parts = Digest()

    /// What a part is; goes into the hash.
    private enum Part: UInt8 {
        case changeset = 0
        case schemaChange = 1
        case validators = 2
    }

    /// A hash in the making where SQLite's callback can reach it.
    private final class Digest {
        var hasher: SHA256? = SHA256()

        func finish() -> Hash { hasher.take()?.finalize() ?? .zero }
    }

    /// Begins to record.
    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.connection = connection
        try begin()
    }

    deinit {
        end()
    }

    /// Hashes what was recorded so far; to be called before the schema changes. Nothing is recorded until `resume`.
    func pause() throws(SQLiteFailure) {
        let digest = Digest()
        let code = sqlite3session_changeset_strm(
            session,
            { context, bytes, count in
                guard let context, count >= 0 else { return SQLITE_MISUSE }
                Unmanaged<Digest>.fromOpaque(context).takeUnretainedValue()
                    .hasher?.update(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
                return SQLITE_OK
            }, Unmanaged.passUnretained(digest).toOpaque())
        try connection.check(code)
        end()
        add(.changeset, digest.finish())
    }

    /// Records again, after the schema has changed by `statement`, or has not (nil).
    func resume(after statement: String?) throws(SQLiteFailure) {
        if let statement { add(.schemaChange, Hash.sha256(of: Array(statement.utf8))) }
        try begin()
    }

    /// Ends the recording; SHA-256 over the parts, each a byte for its kind and its own SHA-256. Validators that
    /// the block changes are a part of their own.
    func finish(_ validators: [Validator]) throws(SQLiteFailure) -> Hash {
        try pause()
        if !validators.isEmpty { add(.validators, Hash.sha256(of: validators.flatMap(\.bytes))) }
        return parts.finish()
    }

    private func add(_ part: Part, _ hash: Hash) {
        parts.hasher?.update([part.rawValue])
        parts.hasher?.update(hash)
    }

    private func begin() throws(SQLiteFailure) {
        try connection.check(sqlite3session_create(connection.handle, "main", &session))
        // No name: all tables, also those made later.
        try connection.check(sqlite3session_attach(session, nil))
    }

    private func end() {
        if let session { sqlite3session_delete(session) }
        session = nil
    }
}
