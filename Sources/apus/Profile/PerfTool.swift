import Arguments
import Bytes
import Glibc
import Reactor

/// Runs Linux's `perf`, with its files in a temporary directory that is deleted at the end.
struct PerfTool: ~Copyable {
    private let directory: String

    init() throws(CommandFailure) {
        var template = Array("/tmp/apus-profile-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw CommandFailure("cannot create a directory in /tmp: \(SystemErrorText.of(errno))")
        }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? DirectoryTree.remove(directory) }

    /// Records a process for some seconds: `frequency` times per second what runs, or each time that a thread leaves a
    /// processor.
    borrowing func record(
        _ pid: pid_t, seconds: Int, frequency: Int, isOffCPU: Bool
    ) async throws {
        let event = isOffCPU ? ["-e", "sched:sched_switch"] : ["-F", "\(frequency)"]
        try await run(
            ["record", "-q", "-g", "--switch-events"] + event
                + ["-o", "\(directory)/data", "-p", "\(pid)", "--", "sleep", "\(seconds)"],
            output: "\(directory)/record")
    }

    /// Passes each event of the recording to `body`.
    borrowing func events(program: String, _ body: (PerfEvent) -> Void) async throws {
        let text = "\(directory)/script"
        try await run(
            [
                "script", "-i", "\(directory)/data", "--no-inline", "--show-switch-events",
                "-F", "comm,pid,tid,time,event,ip,sym,dso",
            ], output: text)
        var script = PerfScript(program: program)
        var rest: [UInt8] = []
        do {
            try FileContent.readPieces(text, limit: Int.max) { piece in
                rest += piece
                var start = 0
                while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
                    // A slice of its own: the script keeps the lines of functions.
                    if let event = script.read(Array(rest[start..<end])[...]) { body(event) }
                    start = end + 1
                }
                rest.removeFirst(start)
                return true
            }
        } catch {
            throw CommandFailure("\(text): \(error)")
        }
        if let event = script.finish() { body(event) }
    }

    /// Runs `perf` to its end. Throws what it wrote if it failed.
    private borrowing func run(_ arguments: [String], output: String) async throws {
        let file = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw CommandFailure("\(output): \(SystemErrorText.of(errno))") }
        defer { close(file) }
        // env looks the program up in PATH.
        var process = try ChildProcess("/usr/bin/env", ["perf"] + arguments, output: file)
        while true {
            if let ending = process.poll() {
                if ending == ChildProcess.success { return }
                throw Self.failure(arguments[0], ending, Self.lastLines(of: output))
            }
            try await Reactor.sleep(for: .milliseconds(20))
        }
    }

    private static func failure(_ command: String, _ ending: String, _ output: String) -> CommandFailure {
        if ending == ChildProcess.notFound {
            return CommandFailure("perf is not installed: install Debian's package linux-perf")
        }
        let advice =
            "as root, or with kernel.perf_event_paranoid at 1 or less, perf may observe other processes"
        return CommandFailure("perf \(command) \(ending): \(output) (\(advice))")
    }

    /// The end of a file's text, as one line.
    private static func lastLines(of path: String) -> String {
        let bytes = (try? FileContent.read(path, limit: 1 << 20)) ?? []
        let lines = bytes.split(separator: UInt8(ascii: "\n")).suffix(3)
        return lines.map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
    }
}
