import Arguments
import Glibc
import Reactor
import Simulation
import Synchronization
import VirtualIO

/// `apus-sim simulate`: simulates whole networks in one process, with faults derived from a seed.
struct SimulateCommand: Action {
    let seed: UInt64?
    let seeds: SeedRange?
    let scenario: String?
    let lists: Bool
    let validators: Int?
    let sentries: Int?
    let nodes: Int?
    let blocks: Int64?
    let execution: SimulationOptions.Execution?
    let fault: FaultKind?
    let hasNoFaults: Bool
    let hasCheapCrypto: Bool
    let trace: String?
    let jobs: Int

    /// A thousand nodes take 2.5 GB and some minutes; more than this exceeds any likely machine.
    private static let mostNodes = 20_000
    /// Every validator relays every other's vote.
    private static let mostValidators = 1_000
    /// Months of virtual time.
    private static let mostBlocks: Int64 = 1_000_000
    /// Each run has its own stack and network.
    private static let mostJobs = 256
    /// The average time allowed per block when `--blocks` is given.
    private static let slowestBlock = Duration.seconds(10)
    /// The mean time between two faults when `--fault` is given and the seed has none.
    private static let faultInterval = Duration.seconds(2)
    /// A run's stack, which holds a frame for each event in progress.
    private static let stackSize = 16 << 20

    static var command: Command {
        Command(
            "simulate",
            "Run whole networks in one process, with a virtual clock and faults derived from a seed.",
            Parameter<UInt64?>.option("seed", .integer(0...UInt64.max), "The seed to run; the default is 1."),
            .option("seeds", .seedRange, "The seeds to run."),
            .option("scenario", .scenario, "The scenario to run, or `all`."),
            .flag("list", "List the scenarios."),
            .option(
                "validators", .integer(1...mostValidators), "The number of validators, the leader included."),
            .option("sentries", .integer(0...mostNodes), "The number of sentries."),
            .option(
                "nodes", .integer(1...mostNodes),
                "The number of nodes; those that are not validators are sentries."),
            Parameter<Int64?>.option("blocks", .integer(1...mostBlocks), "The height at which faults end."),
            .option("execution", .choice("APPLICATION"), "The application that executes transactions."),
            .option("fault", .choice("KIND"), "Inject only faults of this kind."),
            .flag("no-faults", "Inject no faults."),
            .flag(
                "cheap-crypto",
                "Replace cryptography with a cheap substitute, for very many nodes; such a run proves nothing about correctness."
            ),
            .option(
                "trace", .text("FILE"),
                "Write a readable line for every event to this file; for a single run only."),
            .option("jobs", .integer(1...mostJobs), default: 2, "The number of concurrent runs."),
            action: SimulateCommand.init)
    }

    func validate() throws(UsageError) {
        if seed != nil, seeds != nil { throw .inconsistent("give --seed or --seeds, not both") }
        if let nodes {
            if sentries != nil {
                throw .inconsistent("--nodes includes the sentries: give --nodes or --sentries, not both")
            }
            if let validators, validators > nodes {
                throw .inconsistent("--validators \(validators) exceeds --nodes \(nodes)")
            }
        }
        if scenario != nil, validators != nil || sentries != nil || nodes != nil {
            throw .inconsistent(
                "--scenario determines the nodes: give it without --validators, --sentries and --nodes")
        }
        if fault != nil, hasNoFaults { throw .inconsistent("give --fault or --no-faults, not both") }
        if fault != nil, scenario != nil {
            throw .inconsistent("--scenario runs a script instead of faults: give it without --fault")
        }
        if trace != nil, plan.count != 1 {
            throw .inconsistent("--trace needs a single run: give one seed and at most one scenario")
        }
    }

    private var plan: SimulationPlan {
        let scenarios = Scenario.all.filter { scenario == "all" || scenario == $0.name }
        return SimulationPlan(
            seeds: seeds ?? SeedRange(seed ?? 1, seed ?? 1), scenarios: scenario == nil ? [nil] : scenarios)
    }

    func run() async throws {
        if lists {
            for scenario in Scenario.all { try StandardOutput.print("\(scenario.name)  \(scenario.summary)") }
            return
        }
        if hasCheapCrypto { CheapCrypto.activate() }
        let trace = try trace.map { try TraceFile($0) }
        let plan = plan
        let next = Atomic(0)
        let hasFailed = Atomic(false)
        let totals = Mutex(SimulationTotals())
        let start = ContinuousClock.now
        let worker: @Sendable () -> Void = { [self] in
            while !hasFailed.load(ordering: .relaxed) {
                let index = next.add(1, ordering: .relaxed).oldValue
                guard index < plan.count else { break }
                let report = perform(plan[index], trace)
                totals.withLock { $0.add(report) }
                let isPrinted = (try? StandardOutput.printAtOnce(text(plan[index], report))) != nil
                if report.failure != nil || !isPrinted { hasFailed.store(true, ordering: .relaxed) }
            }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<min(jobs, plan.count) { group.addTask { try await Self.onThread(worker) } }
            try await group.waitForAll()
        }
        if plan.count > 1 {
            try StandardOutput.print(totals.withLock { $0.text(ContinuousClock.now - start) })
        }
        // A failure to write output also ends the runs.
        try StandardOutput.flush()
        if hasFailed.load(ordering: .relaxed) { throw ExitStatus(1) }
    }

    /// Runs `body` on a thread of its own.
    private static func onThread(_ body: @escaping @Sendable () -> Void) async throws {
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            do {
                try LoopThread.start("simulation", stackSize: stackSize) {
                    body()
                    done.resume()
                }
            } catch {
                done.resume(throwing: error)
            }
        }
    }

    // MARK: One run

    private func options(_ run: SimulationPlan.Run) -> SimulationOptions {
        var options = run.scenario?.options(seed: run.seed) ?? SimulationOptions(seed: run.seed)
        if let validators { options.validators = validators }
        if let sentries { options.sentries = sentries }
        if let nodes {
            options.validators = min(options.validators, nodes)
            options.sentries = nodes - options.validators
        }
        if let blocks {
            options.blocks = blocks
            let duration = options.duration
            options.duration =
                duration.lowerBound...max(duration.upperBound, Self.slowestBlock * Int(clamping: blocks))
        }
        if let execution { options.execution = execution }
        if let fault {
            options.faults = [fault]
            options.faultInterval = options.faultInterval ?? Self.faultInterval
        }
        if hasNoFaults { options.faultInterval = nil }
        return options
    }

    /// Returns the arguments that repeat a run.
    private func arguments(_ run: SimulationPlan.Run) -> String {
        var text = "--seed \(run.seed)"
        if let scenario = run.scenario { text += " --scenario \(scenario.name)" }
        if let validators { text += " --validators \(validators)" }
        if let sentries { text += " --sentries \(sentries)" }
        if let nodes { text += " --nodes \(nodes)" }
        if let blocks { text += " --blocks \(blocks)" }
        if let execution { text += " --execution \(execution.rawValue)" }
        if let fault { text += " --fault \(fault.rawValue)" }
        if hasNoFaults { text += " --no-faults" }
        if hasCheapCrypto { text += " --cheap-crypto" }
        return text
    }

    private func perform(_ run: SimulationPlan.Run, _ trace: TraceFile?) -> SimulationReport {
        Simulation.run(
            options(run), scenario: run.scenario,
            directory:
                "\(MemoryDirectory.path)/apus-simulate-\(getpid())-\(UInt64.random(in: 0...UInt64.max))",
            traceFile: trace?.file)
    }

    private func text(_ run: SimulationPlan.Run, _ report: SimulationReport) -> String {
        let name = run.scenario.map { " \($0.name)" } ?? ""
        var text =
            "seed \(run.seed)\(name): height \(report.height), \(report.transactions) transactions, "
        text +=
            "\(report.events) events, \(report.virtualTime.seconds) virtual s in \(report.wallTime.seconds) s, "
        text += "\(report.faults.values.reduce(0, +)) faults, trace \(String(report.traceHash, radix: 16))"
        if let failure = report.failure { text += "\nseed \(run.seed)\(name) FAILED  \(failure)" }
        if report.failure != nil || (seed != nil && scenario == nil) {
            text += "\n  " + options(run).lines.joined(separator: "\n  ")
            let faults = report.faults.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            text += "\n  injected: \(faults.joined(separator: ", "))"
            text +=
                "\n  \(report.packets) packets, \(report.bytes) bytes, \(report.acknowledged) acknowledged"
        }
        if report.failure != nil { text += "\n  replay: apus-sim simulate \(arguments(run))" }
        return text
    }
}
