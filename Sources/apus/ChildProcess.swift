import Arguments
import Bytes
import CShims
import Glibc

/// A child process whose standard input is a pipe from this process. The pipe ends with this process, however that
/// ends, so a child that reads it notices.
///
/// The kernel keeps the ID of a child that has ended until `poll` is called, so that no other process gets it.
struct ChildProcess: ~Copyable {
    /// What `poll` says of a process that ended well, and of `env` if the program does not exist.
    static let success = "exited with status 0"
    static let notFound = "exited with status 127"

    let pid: pid_t
    private let lifeline: Int32
    private var ending: String?

    /// Starts `executable` with its path as first argument. Standard output and standard error go to the descriptor
    /// `output`.
    init(_ executable: String, _ arguments: [String], output: Int32) throws(CommandFailure) {
        let words = ([executable] + arguments).map { strdup($0) }
        defer { for word in words { free(word) } }
        var pid: pid_t = 0
        var lifeline: Int32 = -1
        let error = apus_spawn(executable, words + [nil], output, &lifeline, &pid)
        guard error == 0 else {
            throw CommandFailure("cannot start \(executable): \(SystemErrorText.of(error))")
        }
        self.pid = pid
        self.lifeline = lifeline
    }

    deinit { close(lifeline) }

    /// How the process ended, such as `exited with status 0`; nil while it runs.
    mutating func poll() -> String? {
        if let ending { return ending }
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
        // WIFEXITED, WEXITSTATUS and WTERMSIG.
        let signal = status & 0x7F
        ending = signal == 0 ? "exited with status \((status >> 8) & 0xFF)" : "was killed by signal \(signal)"
        return ending
    }

    /// Sends a signal, if the process still runs.
    mutating func send(_ signal: Int32) {
        if poll() == nil { kill(pid, signal) }
    }
}
