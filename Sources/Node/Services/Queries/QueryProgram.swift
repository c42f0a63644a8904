import CShims
import Execution
import Glibc

/// The program whose processes answer queries: the one that runs, whatever has become of its file, and the database that
/// they read.
public final class QueryProgram: Sendable {
    private let executable: Int32
    /// The database's path.
    let database: String

    /// The program that runs; nil where the kernel does not show it, as without /proc.
    public init?(database: String) {
        let executable = apus_open_program()
        guard executable >= 0 else { return nil }
        self.executable = executable
        self.database = database
    }

    deinit { close(executable) }

    /// Starts a process; its ID and the socket to it, or an errno.
    func start() -> Result<(pid: pid_t, socket: Int32), QueryProcess.Refusal> {
        let words = ["apus", QueryWorker.command, database].map { (word: String) in strdup(word) }
        defer { for word in words { free(word) } }
        var pid: pid_t = 0
        var socket: Int32 = -1
        let error = apus_spawn_worker(executable, words + [nil], &socket, &pid)
        return error == 0 ? .success((pid, socket)) : .failure(QueryProcess.Refusal(code: error))
    }
}
