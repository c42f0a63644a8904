import Glibc
import Log
import Metrics
import Reactor
import Symbols

/// Names the callbacks that hold an event loop for more than 5 ms, in a metric and in the log.
@ReactorActor
final class StallReport {
    /// The most names of a loop that the metric tells apart; the rest is `other`.
    private static let maxNames = 64
    private static let other = "other"
    /// In place of a name: the loop's thread was ready, and the machine had no processor for it.
    private static let noProcessor = "no processor"
    /// That of the thread that looks up names: it runs when nothing else does.
    private nonisolated static let niceness: Int32 = 19

    private let name: String
    private let registry: MetricsRegistry
    private let log: Log
    private var counters: [String: Counter] = [:]

    private init(_ name: String, _ registry: MetricsRegistry, _ log: Log) {
        self.name = name
        self.registry = registry
        self.log = log
        _ = counter(Self.other)
        _ = counter(Self.noProcessor)
    }

    /// Reports the stalls of a loop as long as it runs. `name` is the loop's in metrics and log. Callable from any thread.
    nonisolated static func start(
        on loop: EventLoop, named name: String, _ registry: MetricsRegistry, _ log: Log
    ) {
        loop.call {
            let report = StallReport(name, registry, log)
            Reactor.spawn { await report.run(loop.stalls) }
        }
    }

    private func run(_ stalls: EventChannel<Stall>) async {
        while let stall = await stalls.next() {
            if stall.lackedProcessor {
                counter(Self.noProcessor).add()
                continue
            }
            // The functions' names are looked up in the program's file.
            let worker = Worker(name: "symbols", capacity: 1)
            let calls = try? await worker.finish {
                // A loop stalls while the processors are busy, and reading all symbols takes a while.
                setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness)
                return Self.calls(of: stall.callback)
            }
            note(stall, calls ?? [])
        }
    }

    private func note(_ stall: Stall, _ calls: [String]) {
        let callback = Self.callback(calls)
        counter(callback).add()
        log.warning(
            "callback held an event loop",
            [
                "loop": .text(name), "callback": .text(callback),
                "milliseconds": .number(stall.duration.nanoseconds / 1_000_000),
                "processor_milliseconds": .number(stall.processorTime.nanoseconds / 1_000_000),
                "calls": .text(calls.joined(separator: " < ")),
            ])
    }

    private func counter(_ callback: String) -> Counter {
        let name = counters[callback] != nil || counters.count < Self.maxNames ? callback : Self.other
        let counter =
            counters[name]
            ?? registry.counter(
                "apus_reactor_stalls_total",
                "Callbacks that held an event loop for more than 5 ms, by function.",
                ("loop", self.name), ("callback", name))
        counters[name] = counter
        return counter
    }

    // MARK: Names

    /// Returns the names of the functions, from the innermost outwards.
    private nonisolated static func calls(of callback: Stall.Callback) -> [String] {
        switch callback {
        case .events: return ["events of sockets"]
        case .sending: return ["sending"]
        case .functions(let addresses):
            let symbols = ProgramSymbols()
            var names: [String] = []
            for address in addresses where address != 0 {
                let name = symbols.name(of: address) ?? "0x\(String(address, radix: 16))"
                if name != names.last { names.append(name) }
            }
            return names
        }
    }

    /// What comes before the names of functions that say nothing about whose callback it was.
    private static let unspecific = ["Reactor.", "Swift.", "(extension in Reactor)", "(extension in Swift)"]

    /// Returns the innermost function that is neither the runtime's nor the reactor's, or else the innermost.
    private static func callback(_ calls: [String]) -> String {
        calls.first { name in
            let function = name.hasPrefix("closure in ") ? name.dropFirst("closure in ".count) : name[...]
            return function.contains(".") && !function.contains("+0x")
                && !unspecific.contains { function.hasPrefix($0) }
        } ?? calls.first ?? "unknown"
    }
}
