import Foundation

/// One node of a test network: a child process that runs `apus run`, its root directory and what it costs.
final class NodeProcess: @unchecked Sendable {
    /// What the node is meant to be.
    enum Role: String, Sendable {
        case leader, validator, sentry
    }

    let name: String
    let role: Role
    /// Its root directory.
    let root: String
    let p2pPort: UInt16
    let rpcPort: UInt16

    // `process` is only touched under `lock`: the signal handler and the main task both stop nodes.
    private let lock = NSLock()
    private var process: Process?
    private var lifeline: Pipe?

    init(name: String, role: Role, root: String, p2pPort: UInt16, rpcPort: UInt16) {
        self.name = name
        self.role = role
        self.root = root
        self.p2pPort = p2pPort
        self.rpcPort = rpcPort
    }

    /// Where the node's output goes.
    var logFile: String { "\(root)/node.log" }
    var rpcAddress: String { "127.0.0.1:\(rpcPort)" }

    /// Starts the process; it ends with this one, whatever ends this one.
    func start() throws {
        let process = Process()
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["run", "--root", root, "--exit-with-parent"]
        try Data().write(to: URL(filePath: logFile))
        let log = try FileHandle(forWritingTo: URL(filePath: logFile))
        // The node ends when this pipe does: with this process, however it ends.
        let lifeline = Pipe()
        _ = fcntl(lifeline.fileHandleForWriting.fileDescriptor, F_SETFD, FD_CLOEXEC)
        process.standardInput = lifeline
        process.standardOutput = log
        process.standardError = log
        try process.run()
        lock.withLock {
            self.process = process
            self.lifeline = lifeline
        }
    }

    /// Nil before the start.
    var pid: Int32? { lock.withLock { process?.processIdentifier } }

    /// How the process ended by itself, if it did.
    var exitStatus: Int32? {
        lock.withLock {
            guard let process, !process.isRunning else { return nil }
            return process.terminationStatus
        }
    }

    /// Asks the process to end.
    func terminate() {
        lock.withLock {
            if let process, process.isRunning { process.terminate() }
        }
    }

    /// Waits for the end of a process that was asked to, and kills it after `patience` seconds.
    func join(patience: Double = 10) async {
        let deadline = ContinuousClock.now.advanced(by: .seconds(patience))
        while lock.withLock({ process?.isRunning ?? false }) {
            if ContinuousClock.now > deadline, let pid { kill(pid, SIGKILL) }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    /// The last lines of the node's output.
    func logTail(_ count: Int = 5) -> String {
        guard let text = try? String(contentsOfFile: logFile, encoding: .utf8) else { return "" }
        return text.split(separator: "\n").suffix(count).joined(separator: "\n")
    }

    /// Memory and processor time of the process, from procfs (proc(5)).
    var usage: (residentKiB: Int, peakKiB: Int, cpuSeconds: Double)? {
        guard let pid, let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8),
            let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
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
}
