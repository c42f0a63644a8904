import Arguments
import Bytes
import Glibc
import JSON
import Reactor

/// `apus profile`: shows where a running node spends its time, without restarting it.
struct ProfileCommand: Action {
    let pid: Int?
    let seconds: Int
    let frequency: Int
    let isOffCPU: Bool
    let path: String
    let folded: String?
    let output: OutputForm

    /// A recording of an hour at the highest frequency has some hundred million samples, which is too many.
    private static let maxSeconds = 600
    private static let maxFrequency = 10_000
    /// The number of functions in the summary.
    private static let functionCount = 15

    static var command: Command {
        Command(
            "profile", "Show where a running node spends its time: a flame graph and a summary.",
            discussion:
                "Needs Linux's perf (Debian's package linux-perf) and the right to observe the process.",
            .option(
                "pid", .integer(1...Int(Int32.max), "PID"),
                "Process to observe. (default: the machine's only node)"),
            .option("seconds", .integer(1...maxSeconds), default: 10, "How long to observe it."),
            .option("frequency", .integer(1...maxFrequency, "HERTZ"), default: 499, "Samples per second."),
            .flag(
                "off-cpu",
                "Show what threads wait for instead of what they run, each time that they leave a processor."),
            .option("output", .path("FILE"), default: "apus-profile.svg", "Flame graph to write."),
            .option("folded", .path("FILE"), "Also write the stacks, one on each line, for other programs."),
            OutputForm.parameter,
            action: ProfileCommand.init)
    }

    func run() async throws {
        let pid = try pid.map { pid_t(truncatingIfNeeded: $0) } ?? NodeProcesses.only()
        let program = try NodeProcesses.program(of: pid)
        let profile = try await Reactor.run { [seconds, frequency, isOffCPU] in
            let perf = try PerfTool()
            try await perf.record(pid, seconds: seconds, frequency: frequency, isOffCPU: isOffCPU)
            var profile = Profile(isOffCPU: isOffCPU)
            try await perf.events(program: program) { profile.add($0) }
            return profile
        }
        guard !profile.threads.isEmpty else {
            throw CommandFailure(
                "process \(pid) did not run in \(seconds) s: observe it for longer, or under load")
        }
        try write(profile, of: pid)
        switch output {
        case .text: try printText(profile, pid)
        case .json: try printJSON(profile, pid)
        }
    }

    private func write(_ profile: Profile, of pid: pid_t) throws {
        let what = isOffCPU ? "time off the processor" : "samples at \(frequency) Hz"
        let graph = FlameGraph(
            stacks: profile.stacks, title: "apus, process \(pid): \(what) in \(seconds) s",
            describe: { [isOffCPU] in isOffCPU ? Duration.microseconds($0).milliseconds : "\($0) samples" })
        try OutputFile.write(Array(graph.svg.utf8), to: path)
        if let folded { try OutputFile.write(Array(profile.stacks.folded.utf8), to: folded) }
    }

    // MARK: Summary

    /// The share of one core that samples mean, in percent.
    private func share(_ samples: UInt64) -> Double { 100 * Double(samples) / Double(frequency * seconds) }

    private func printText(_ profile: Profile, _ pid: pid_t) throws {
        let widths = [18, 9, 12, 12, 12]
        try StandardOutput.print(
            ["thread", isOffCPU ? "" : "CPU %", "waits/s", "preempted/s", "asleep %", "ready %"].columns(
                widths))
        for (name, thread) in Self.sorted(profile) {
            let percent = { (time: UInt64) in
                DecimalText.text(Double(time) / Double(seconds) / 1e4, places: 1)
            }
            let rate = { (count: UInt64) in DecimalText.text(Double(count) / Double(seconds), places: 1) }
            try StandardOutput.print(
                [
                    name, isOffCPU ? "" : DecimalText.text(share(thread.samples), places: 1),
                    rate(thread.waits),
                    rate(thread.preemptions), percent(thread.asleep), percent(thread.ready),
                ].columns(widths))
        }
        if !isOffCPU { try printFunctions(profile) }
        try StandardOutput.print("\nwritten to \(path)")
    }

    /// The functions in which most samples found a thread.
    private func printFunctions(_ profile: Profile) throws {
        try StandardOutput.print("")
        for (name, own) in profile.stacks.heaviest(Self.functionCount) {
            let part = DecimalText.text(100 * Double(own) / Double(max(profile.stacks.total, 1)), places: 1)
            try StandardOutput.print("\(part) %".padded(to: 9) + name)
        }
    }

    private func printJSON(_ profile: Profile, _ pid: pid_t) throws {
        try StandardOutput.print(
            JSONLine.object {
                $0.member("pid", integer: Int(pid))
                $0.member("seconds", integer: seconds)
                $0.member("flame_graph", text: path)
                $0.array("threads", of: Self.sorted(profile)) { json, entry in
                    json.object {
                        $0.member("name", text: entry.name)
                        $0.member("samples", integer: Int(clamping: entry.thread.samples))
                        $0.member("waits", integer: Int(clamping: entry.thread.waits))
                        $0.member("preemptions", integer: Int(clamping: entry.thread.preemptions))
                        $0.member("asleep_seconds", number: Double(entry.thread.asleep) / 1e6)
                        $0.member("ready_seconds", number: Double(entry.thread.ready) / 1e6)
                    }
                }
                if isOffCPU { return }
                $0.array("functions", of: profile.stacks.heaviest(Self.functionCount)) { json, function in
                    json.object {
                        $0.member("name", text: function.name)
                        $0.member("weight", integer: Int(clamping: function.own))
                    }
                }
            })
    }

    /// The threads, the busiest first.
    private static func sorted(_ profile: Profile) -> [(name: String, thread: Profile.Thread)] {
        profile.threads.sorted {
            ($1.value.samples, $1.value.waits, $0.key) < ($0.value.samples, $0.value.waits, $1.key)
        }.map { ($0.key, $0.value) }
    }
}
