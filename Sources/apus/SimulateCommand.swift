import ArgumentParser
import Crypto
import Foundation
import Simulation
import Synchronization

/// `apus simulate`: whole networks in one process, with faults from a seed.
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Run whole networks in one process with a virtual clock and faults from a seed.")

    @Option(help: "The seed to run.")
    var seed: UInt64?

    @Option(help: "Run these seeds: FIRST-LAST.")
    var seeds: String?

    @Option(help: "Run a named scenario, or all.")
    var scenario: String?

    @Flag(help: "List the scenarios.")
    var list = false

    @Option(help: "Who votes, the leader included.")
    var validators: Int?

    @Option(help: "Who follows.")
    var sentries: Int?

    @Option(help: "Machines in all: what is not a validator is a sentry.")
    var nodes: Int?

    @Option(help: "Height at which faults end.")
    var blocks: Int64?

    @Option(help: "What executes transactions: noop or sql.")
    var execution: SimulationOptions.Execution?

    @Flag(help: "No faults.")
    var noFaults = false

    @Flag(
        help:
            "A stand-in in place of the cryptography: for very many nodes, not to show that anything is right."
    )
    var cheapCrypto = false

    @Option(help: "Write a readable line for every event to this file (one seed only).")
    var trace: String?

    @Option(help: "Seeds at the same time.")
    var jobs = 2

    /// What a block may take, on average, when their number is given.
    private static let slowestBlock = Duration.seconds(10)

    func run() throws {
        if list {
            for scenario in Scenario.all { print("\(scenario.name)  \(scenario.summary)") }
            return
        }
        if cheapCrypto { CheapCrypto.activate() }
        let runs = try plan()
        if trace != nil, runs.count != 1 { throw ValidationError("--trace is for one run") }
        let next = Mutex(0)
        let hasFailed = Mutex(false)
        let totals = Mutex(SimulationTotals())
        let start = ContinuousClock.now
        let threads = (0..<max(1, min(jobs, runs.count))).map { _ in
            let done = DispatchSemaphore(value: 0)
            let thread = Thread {
                while !hasFailed.withLock({ $0 }) {
                    let index = next.withLock { next in
                        defer { next += 1 }
                        return next
                    }
                    guard index < runs.count else { break }
                    let report = perform(runs[index])
                    totals.withLock { $0.add(report) }
                    if report.failure != nil { hasFailed.withLock { $0 = true } }
                }
                done.signal()
            }
            thread.stackSize = 16 << 20
            thread.start()
            return done
        }
        for done in threads { done.wait() }
        if runs.count > 1 { print(totals.withLock { $0.text(ContinuousClock.now - start) }) }
        if hasFailed.withLock({ $0 }) { throw ExitCode.failure }
    }

    /// One run: options, scenario, and the arguments that repeat it.
    private struct Run: Sendable {
        var options: SimulationOptions
        var scenario: Scenario?
        var arguments: String
    }

    private func plan() throws -> [Run] {
        var range = (seed ?? 1)...(seed ?? 1)
        if let seeds {
            let ends = seeds.replacing("...", with: "-").split(separator: "-").compactMap { UInt64($0) }
            guard ends.count == 2, ends[0] <= ends[1] else {
                throw ValidationError("--seeds \(seeds) is not FIRST-LAST")
            }
            range = ends[0]...ends[1]
        }
        var scenarios: [Scenario?] = [nil]
        if let scenario {
            scenarios = Scenario.all.filter { scenario == "all" || $0.name == scenario }
            guard !scenarios.isEmpty else { throw ValidationError("there is no scenario \(scenario)") }
        }
        return range.flatMap { seed in
            scenarios.map { scenario in
                var options = scenario?.options(seed: seed) ?? SimulationOptions(seed: seed)
                let name = scenario.map { " --scenario \($0.name)" } ?? ""
                return Run(
                    options: override(&options), scenario: scenario,
                    arguments: "--seed \(seed)\(name)\(overrides)")
            }
        }
    }

    private func override(_ options: inout SimulationOptions) -> SimulationOptions {
        if let validators { options.validators = max(1, validators) }
        if let sentries { options.sentries = max(0, sentries) }
        if let nodes {
            options.validators = min(options.validators, max(1, nodes))
            options.sentries = max(0, nodes - options.validators)
        }
        if let blocks {
            options.blocks = blocks
            let duration = options.duration
            options.duration =
                duration
                .lowerBound...max(
                    duration.upperBound, Self.slowestBlock * Int(min(max(blocks, 0), 1_000_000)))
        }
        if let execution { options.execution = execution }
        if noFaults { options.faultInterval = nil }
        return options
    }

    private var overrides: String {
        var text = ""
        if let validators { text += " --validators \(validators)" }
        if let sentries { text += " --sentries \(sentries)" }
        if let nodes { text += " --nodes \(nodes)" }
        if let blocks { text += " --blocks \(blocks)" }
        if let execution { text += " --execution \(execution.rawValue)" }
        if noFaults { text += " --no-faults" }
        if cheapCrypto { text += " --cheap-crypto" }
        return text
    }

    private func perform(_ run: Run) -> SimulationReport {
        var file: FileHandle?
        if let trace {
            _ = FileManager.default.createFile(atPath: trace, contents: nil)
            file = FileHandle(forWritingAtPath: trace)
        }
        let memory = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : "/tmp"
        let report = Simulation.run(
            run.options, scenario: run.scenario,
            directory:
                "\(memory)/apus-simulate-\(ProcessInfo.processInfo.processIdentifier)-\(UUID().uuidString)",
            traceFile: file)
        let name = run.scenario.map { " \($0.name)" } ?? ""
        var text =
            "seed \(run.options.seed)\(name): height \(report.height), \(report.transactions) transactions, "
        text +=
            "\(report.events) events, \(report.virtualTime.rounded) virtual s in \(report.wallTime.rounded) s, "
        text += "\(report.faults.values.reduce(0, +)) faults, trace \(String(report.traceHash, radix: 16))"
        if let failure = report.failure { text += "\nseed \(run.options.seed)\(name) FAILED  \(failure)" }
        if report.failure != nil || (seed != nil && scenario == nil) {
            text += "\n  " + run.options.lines.joined(separator: "\n  ")
            let faults = report.faults.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            text += "\n  injected: \(faults.joined(separator: ", "))"
            text +=
                "\n  \(report.packets) packets, \(report.bytes) bytes, \(report.acknowledged) acknowledged"
        }
        if report.failure != nil { text += "\n  replay: apus simulate \(run.arguments)" }
        // At once, also into a pipe.
        FileHandle.standardOutput.write(Data("\(text)\n".utf8))
        return report
    }
}

extension SimulationOptions.Execution: ExpressibleByArgument {}

/// What many runs come to together.
private struct SimulationTotals {
    private var runs = 0
    private var events: UInt64 = 0
    private var virtualTime = Duration.zero
    private var faults: [String: Int] = [:]
    private var most: [String: Int] = [:]

    mutating func add(_ report: SimulationReport) {
        runs += 1
        events += report.events
        virtualTime += report.virtualTime
        faults.merge(report.faults, uniquingKeysWith: +)
        most.merge(report.most, uniquingKeysWith: max)
    }

    func text(_ wallTime: Duration) -> String {
        let seconds = max(0.001, wallTime / .seconds(1))
        let kinds = faults.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        let held = most.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        return """
            \(runs) runs in \(wallTime.rounded) s: \(events) events (\(Int(Double(events) / seconds)) a second), \
            \(virtualTime.rounded) virtual s (\(Int(virtualTime / .seconds(1) / seconds)) a second), \
            \(faults.values.reduce(0, +)) faults
              \(kinds)
              at most held: \(held)
            """
    }
}

extension Duration {
    /// Seconds, to two digits.
    fileprivate var rounded: String {
        let hundredths = components.seconds * 100 + components.attoseconds / 10_000_000_000_000_000
        return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
    }
}
