import CShims
import Glibc

/// A child process and a pipe that is its standard input: the pipe ends with this process, however that ends, so a
/// child that reads it notices.
///
/// A child that has ended stays known to the system until `poll` is called, so that its ID is no other process's.
struct ChildProcess: ~Copyable {
    /// How a process ended.
    enum Ending: Sendable, Equatable, CustomStringConvertible {
        case exited(Int32)
        case killed(signal: Int32)

        var description: String {
            switch self {
            case .exited(let status): "ended with status \(status)"
            case .killed(let signal): "was ended by signal \(signal)"
            }
        }
    }

    let pid: pid_t
    private let lifeline: Int32
    private var ending: Ending?

    /// Starts `executable`; standard output and standard error go to the descriptor `output`. Its first argument is
    /// its path.
    init(_ executable: String, _ arguments: [String], output: Int32) throws(Testnet.Failure) {
        let words = ([executable] + arguments).map { strdup($0) }
        defer { for word in words { free(word) } }
        var pid: pid_t = 0
        var lifeline: Int32 = -1
        let error = apus_spawn(executable, words + [nil], output, &lifeline, &pid)
        guard error == 0 else {
            throw Testnet.Failure("\(executable): cannot be started: \(String(cString: strerror(error)))")
        }
        self.pid = pid
        self.lifeline = lifeline
    }

    deinit { close(lifeline) }

    /// How the process ended; nil while it runs.
    mutating func poll() -> Ending? {
        if let ending { return ending }
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
        // As WIFEXITED, WEXITSTATUS and WTERMSIG read it.
        let signal = status & 0x7F
        ending = signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal: signal)
        return ending
    }

    /// Sends a signal, if the process still runs.
    mutating func send(_ signal: Int32) {
        if poll() == nil { kill(pid, signal) }
    }
}
