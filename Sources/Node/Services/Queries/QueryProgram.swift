import CShims
import Execution
import Glibc

/// The program of the query processes, which is the running one even if its file has been replaced, and its arguments: the
/// database that they read, and the size of their page caches.
public final class QueryProgram: Sendable {
    private let executable: Int32
    /// The database's path.
    let database: String
    private let cacheBytes: Int

    /// Opens the running program; nil if the kernel does not show it, for example without /proc. The page cache of each
    /// process takes up to `cacheBytes`.
    public init?(database: String, cacheBytes: Int) {
        let executable = apus_open_program()
        guard executable >= 0 else { return nil }
        self.executable = executable
        self.database = database
        self.cacheBytes = cacheBytes
    }

    deinit { close(executable) }

    /// Starts a process. Returns its ID and a socket to it, or an errno.
    func start() -> Result<(pid: pid_t, socket: Int32), QueryProcess.Refusal> {
        let words = ["apus", QueryWorker.command, database, "\(cacheBytes)"].map { (word: String) in
            strdup(word)
        }
        defer { for word in words { free(word) } }
        var pid: pid_t = 0
        var socket: Int32 = -1
        let error = apus_spawn_worker(executable, words + [nil], &socket, &pid)
        return error == 0 ? .success((pid, socket)) : .failure(QueryProcess.Refusal(code: error))
    }
}
