import Arguments
import Bytes
import Chain
import Glibc
import Reactor
import Synchronization

/// One node of a test network: a child process that runs `apus run`, its root directory, and its use of memory and
/// processor.
final class NodeProcess: Sendable {
    let name: String
    /// The node's intended role.
    let role: RoleName
    /// The root directory.
    let root: String
    let p2pPort: UInt16
    let rpcPort: UInt16

    // A lock, because the main task and the one that waits for a signal both stop nodes.
    private let process = Mutex<ChildProcess?>(nil)

    init(name: String, role: RoleName, root: String, p2pPort: UInt16, rpcPort: UInt16) {
        self.name = name
        self.role = role
        self.root = root
        self.p2pPort = p2pPort
        self.rpcPort = rpcPort
    }

    /// The file for the node's output.
    var logFile: String { "\(root)/node.log" }
    var rpcAddress: String { "127.0.0.1:\(rpcPort)" }

    /// Starts the process, which ends when this one does.
    func start() throws(CommandFailure) {
        let log = open(logFile, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o644)
        guard log >= 0 else { throw CommandFailure("\(logFile): \(SystemErrorText.of(errno))") }
        defer { close(log) }
        let executable = try NodeProcesses.program(of: getpid())
        try process.withLock { (process) throws(CommandFailure) in
            process = try ChildProcess(
                executable, ["run", "--root", root, "--exit-with-parent"], output: log)
        }
    }

    /// The process ID; nil before the start.
    var pid: pid_t? { process.withLock { $0?.pid } }

    /// How the process ended; nil while it runs.
    var ending: String? { process.withLock { $0?.poll() } }

    /// Asks the process to end.
    func terminate() { process.withLock { $0?.send(SIGTERM) } }

    /// Waits for the process to end, and kills it after `patience`.
    func join(patience: Duration = .seconds(10)) async {
        let deadline = ContinuousClock.now.advanced(by: patience)
        while pid != nil, ending == nil {
            if ContinuousClock.now > deadline { process.withLock { $0?.send(SIGKILL) } }
            try? await Reactor.sleep(for: .milliseconds(20))
        }
    }

    /// The size of the end of the log that `logTail` reads, in bytes.
    private static let tailSize = 16 << 10

    /// Returns the last lines of the node's output.
    func logTail(_ count: Int = 5) -> String {
        let file = open(logFile, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        let end = lseek(file, 0, SEEK_END)
        var bytes = [UInt8](repeating: 0, count: Self.tailSize)
        let read = pread(file, &bytes, bytes.count, max(0, end - bytes.count))
        let lines = bytes.prefix(max(0, read)).split(separator: UInt8(ascii: "\n")).suffix(count)
        return lines.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
    }

    typealias Usage = (residentKiB: Int, peakKiB: Int, cpuSeconds: Double)

    /// The process's use of memory and processor time, from proc(5); nil if the process does not run.
    var usage: Usage? {
        guard let pid, let status = Self.procfs("/proc/\(pid)/status"),
            let stat = Self.procfs("/proc/\(pid)/stat")
        else { return nil }
        func kibibytes(_ key: String) -> Int {
            let line = status.split(separator: "\n").first { $0.hasPrefix(key) }
            return line.flatMap { Int($0.split(whereSeparator: \.isWhitespace).dropFirst().first ?? "") } ?? 0
        }
        // Fields after the command's closing parenthesis: state is the 3rd, utime the 14th, stime the 15th.
        let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[12]), let system = Double(fields[13]) else {
            return nil
        }
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        return (kibibytes("VmRSS:"), kibibytes("VmHWM:"), (user + system) / ticks)
    }

    private static func procfs(_ file: String) -> String? {
        guard let bytes = try? FileContent.read(file, limit: 64 << 10) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
