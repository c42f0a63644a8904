import Bytes
import CShims
import Chain
import Glibc

/// An error of SQLite's C interface, with the connection's message.
struct SQLiteFailure: Error, CustomStringConvertible {
    /// The extended result code.
    let code: Int32
    /// SQLite's text, one line of up to `longestMessage` bytes.
    let message: String
    /// The database's path.
    let file: String

    /// The maximum size of a message in bytes; messages quote values, which may have megabytes. A result keeps fewer
    /// bytes, so it never contains a character that is cut here.
    private static let longestMessage = ChainLimits.resultLogBytes + 4

    init(code: Int32, message: String, file: String) {
        self.code = code
        let line = message.utf8.prefix(Self.longestMessage).map { (0x0A...0x0D).contains($0) ? 0x20 : $0 }
        self.message = String(decoding: line, as: UTF8.self)
        self.file = file
    }

    /// Creates the failure of the last call on a connection, `sqlite3 *`.
    init(code: Int32, of connection: OpaquePointer, file: String) {
        guard let text = sqlite3_errmsg(connection) else {
            self.init(code: code, message: "", file: file)
            return
        }
        let bytes = UnsafeRawBufferPointer(start: text, count: strnlen(text, Self.longestMessage))
        var message = String(decoding: bytes, as: UTF8.self)
        if code & 0xFF == SQLITE_CANTOPEN, case let number = sqlite3_system_errno(connection), number != 0 {
            message += ": \(SystemErrorText.of(number))"
        }
        self.init(code: code, message: message, file: file)
    }

    /// The code without its extension.
    var primaryCode: Int32 { code & 0xFF }

    /// Whether the statement is at fault, so that it fails on every node with the same state. Any other failure is due
    /// to this node's disk, memory or files and must never become a transaction's result.
    var isStatementFault: Bool {
        switch primaryCode {
        case SQLITE_ERROR, SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_TOOBIG, SQLITE_RANGE, SQLITE_AUTH: true
        default: false
        }
    }

    /// Whether the progress handler stopped the statement.
    var isInterrupt: Bool { primaryCode == SQLITE_INTERRUPT }

    /// Whether SQLite ran out of memory or hit its memory limit.
    var isOutOfMemory: Bool { primaryCode == SQLITE_NOMEM || code == SQLITE_IOERR | 12 << 8 }

    var description: String { message }

    /// The error to throw when the failure is the node's own.
    var nodeError: ExecutionError {
        switch primaryCode {
        case SQLITE_FULL: .diskFull(file: file)
        case SQLITE_CORRUPT, SQLITE_NOTADB: .corrupt(file: file, reason: message)
        case SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_READONLY, SQLITE_IOERR, SQLITE_BUSY, SQLITE_LOCKED:
            .unusable(file: file, reason: message)
        case SQLITE_INTERRUPT: .stopped
        default: .failed(file: file, reason: "\(message) (code \(code))")
        }
    }
}
