import CShims
import Glibc

/// Sends entries to systemd's journal, one datagram each, in its native protocol (systemd, "Native Journal
/// Protocol").
///
/// The socket is not connected: each entry goes to the current listener at the path, so a restarted journal
/// receives the entries that follow.
final class JournalOutput: Sendable {
    /// The path at which the system's journal listens.
    static let systemPath = "/run/systemd/journal/socket"

    private let path: String
    private let socket: Int32

    init(path: String) throws(LogError) {
        guard access(path, W_OK) == 0 else { throw .system("cannot reach the journal at \(path)", errno) }
        self.path = path
        socket = apus_journal_open()
        guard socket >= 0 else { throw .system("cannot open a socket for the journal", -socket) }
    }

    deinit { close(socket) }

    /// Sends one entry, blocking until the journal has room. Returns the number of bytes sent and 0, or 0 and
    /// the `errno`.
    func write(_ entry: UnsafeRawBufferPointer) -> (written: Int, error: Int32) {
        let error = apus_journal_send(socket, path, entry.baseAddress, entry.count)
        return (error == 0 ? entry.count : 0, error)
    }
}
