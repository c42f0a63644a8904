import CShims
import Glibc

/// Entries to systemd's journal, one datagram each, in its native protocol (systemd, "Native Journal Protocol").
///
/// The socket is not connected: each entry goes to whoever listens at the path then, so a journal that is started
/// again gets what follows.
final class JournalOutput: Sendable {
    /// Where the system's journal listens.
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

    /// Sends one entry, waiting until the journal has room. Returns its bytes, or 0 and why it is not sent.
    func write(_ entry: UnsafeRawBufferPointer) -> (written: Int, error: Int32) {
        let error = apus_journal_send(socket, path, entry.baseAddress, entry.count)
        return (error == 0 ? entry.count : 0, error)
    }
}
