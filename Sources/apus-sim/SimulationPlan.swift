import Arguments
import Simulation

/// The runs of `apus-sim simulate`: every scenario with every seed.
struct SimulationPlan: Sendable {
    struct Run: Sendable {
        let seed: UInt64
        let scenario: Scenario?
    }

    let seeds: SeedRange
    /// The scenarios; nil stands for random faults.
    let scenarios: [Scenario?]

    /// The number of runs.
    var count: Int { seeds.count * scenarios.count }

    /// Returns the run with an index less than `count`.
    subscript(index: Int) -> Run {
        Run(
            seed: seeds.first + UInt64(index / scenarios.count),
            scenario: scenarios[index % scenarios.count])
    }
}

/// A range of seeds, both ends included.
struct SeedRange: Equatable, Sendable {
    /// The maximum number of seeds, which take weeks.
    static let mostSeeds: UInt64 = 1_000_000

    let first: UInt64
    let last: UInt64

    init(_ first: UInt64, _ last: UInt64) {
        self.first = first
        self.last = last
    }

    var count: Int { Int(last - first) + 1 }
}

extension Syntax where Value == SeedRange {
    /// A range of seeds, `FIRST-LAST`.
    static var seedRange: Self {
        let expected = "FIRST-LAST, at most \(SeedRange.mostSeeds) seeds"
        return Syntax(
            "FIRST-LAST", expected: expected,
            parse: { text in
                let ends = text.replacing("...", with: "-").split(
                    separator: "-", omittingEmptySubsequences: false)
                guard ends.count == 2, let first = UInt64(ends[0]), let last = UInt64(ends[1]), first <= last,
                    last - first < SeedRange.mostSeeds
                else { return nil }
                return SeedRange(first, last)
            })
    }
}

extension Syntax where Value == String {
    /// A scenario's name, or `all`.
    static var scenario: Self {
        Syntax("NAME", expected: "a scenario; --list names them") { name in
            name == "all" || Scenario.all.contains { $0.name == name } ? name : nil
        }
    }
}

/// The totals of many runs.
struct SimulationTotals {
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
            \(runs) runs in \(wallTime.seconds) s: \(events) events (\(Int(Double(events) / seconds)) a second), \
            \(virtualTime.seconds) virtual s (\(Int(virtualTime / .seconds(1) / seconds)) a second), \
            \(faults.values.reduce(0, +)) faults
              \(kinds)
              at most held: \(held)
            """
    }
}
