import Bytes
import Chain
import Crypto
import Node
import Reactor
import VirtualIO

/// Runs whole networks in one thread, with a virtual clock and faults derived from a seed (docs/simulation.md).
public enum Simulation {
    /// Runs one simulation on the calling thread. Several may run at once, each on its own thread.
    ///
    /// - Parameters:
    ///   - directory: the directory for SQLite's files, which is created and removed.
    ///   - traceFile: the descriptor of a file that receives a readable line for every event. It stays open; a failed
    ///     write fails the run.
    public static func run(
        _ options: SimulationOptions, scenario: Scenario? = nil, directory: String,
        traceFile: Int32? = nil
    ) -> SimulationReport {
        let start = ContinuousClock.now
        defer { try? DirectoryTree.remove(directory) }
        var report: SimulationReport
        do {
            // Work in progress when a failure ends the run refers to the world until the loop ends.
            let world: World
            (report, world) = try MemoryNetwork.run(seed: options.seed) {
                let trace = Trace(file: traceFile)
                let world = try World(options, directory: directory, trace: trace)
                await run(world, scenario)
                var report = SimulationReport(world)
                if report.failure == nil { report.failure = await RemainsChecker(world).run() }
                trace.flush()
                if report.failure == nil, let failure = trace.failure {
                    report.failure = CheckerFailure("trace", "cannot be written: \(failure)")
                }
                return (report, world)
            }
            withExtendedLifetime(world) {}
        } catch {
            report = SimulationReport(failure: CheckerFailure("simulator", "\(error)"))
        }
        report.wallTime = ContinuousClock.now - start
        return report
    }

    @ReactorActor
    private static func run(_ world: World, _ scenario: Scenario?) async {
        let injector = FaultInjector(world)
        let limits = LimitChecker(world)
        let adversaries = (0..<world.options.adversaries).compactMap { try? Adversary(world, $0) }
        for machine in world.nodes { await world.start(machine) }
        world.clients.start(world)
        world.operators.start()
        limits.start()
        for adversary in adversaries { adversary.start() }
        if let scenario {
            do {
                try await scenario.script(world)
            } catch {
                world.fail(scenario.name, "\(error)")
            }
        } else {
            injector.start()
            let duration = world.options.duration
            let shortest = Reactor.now + duration.lowerBound
            await world.wait(duration.upperBound) {
                world.chain.tip >= world.options.blocks && Reactor.now > shortest
            }
        }
        injector.stop()
        for adversary in adversaries { adversary.stop() }
        await LivenessChecker(world).run()
        limits.stop()
        if world.failure == nil { await EndChecker(world).run() }
        for machine in world.nodes {
            await machine.stop()
            machine.endTwin()
        }
    }
}

/// The result of a simulation.
public struct SimulationReport: Sendable {
    /// The first failure; nil when every checker passed.
    public var failure: CheckerFailure?
    /// The hash of all events in order.
    public var traceHash: UInt64 = 0
    /// The number of the loop's events: jobs, calls and timers.
    public var events: UInt64 = 0
    /// The virtual time that passed.
    public var virtualTime = Duration.zero
    /// The real time that the run took.
    public var wallTime = Duration.zero
    /// The highest committed height.
    public var height: Int64 = 0
    /// The number of committed transactions.
    public var transactions = 0
    /// The number of transactions that nodes reported to clients as committed.
    public var acknowledged = 0
    /// The number of injected faults, by kind.
    public var faults: [String: Int] = [:]
    /// The peak of every bounded holding over all nodes, by its name.
    public var most: [String: Int] = [:]
    /// The number of packets that arrived.
    public var packets = 0
    /// The number of bytes that arrived.
    public var bytes = 0

    init(failure: CheckerFailure) { self.failure = failure }

    @ReactorActor
    init(_ world: World) {
        failure = world.failure
        traceHash = world.trace.hash
        events = Reactor.eventsRun
        virtualTime = Reactor.now
        height = world.chain.tip
        transactions = world.chain.heights.count
        acknowledged = world.clients.acknowledged.count
        faults = world.faults
        most = world.most
        packets = world.network.counters.packets
        bytes = world.network.counters.bytes
    }
}
