import Arguments
import Glibc
import Simulation

/// `apus-sim fuzz-sql`: runs SQL derived from seeds on two engines with different histories, which must agree.
struct FuzzCommand: Action {
    let seeds: SeedRange?
    let seconds: Int?
    let prices: Bool

    /// One day.
    private static let mostSeconds = 86_400

    static var command: Command {
        Command(
            "fuzz-sql",
            "Run SQL derived from seeds on two engines with different histories, which must agree.",
            Parameter<SeedRange?>.option(
                "seeds", .seedRange, "The seeds to run; the default is 1-20."),
            Parameter<Int?>.option(
                "seconds", .integer(1...mostSeconds), "Run new seeds for this many seconds."),
            .flag(
                "prices",
                "Measure the dearest known statement of each kind of cost and print a Markdown table."),
            action: FuzzCommand.init)
    }

    func validate() throws(UsageError) {
        if [seeds != nil, seconds != nil, prices].count(where: { $0 }) > 1 {
            throw .inconsistent("give one of --seeds, --seconds and --prices")
        }
    }

    func run() async throws {
        let directory = "\(MemoryDirectory.path)/apus-fuzz-\(getpid())"
        if prices { try measure(directory) } else { try fuzz(directory) }
    }

    private func measure(_ directory: String) throws {
        try StandardOutput.print(
            """
            | kind of cost | units | seconds | seconds for a statement's budget | MiB of memory | MiB of disk |
            | --- | --- | --- | --- | --- | --- |
            """)
        try PriceList.measure(directory: directory) { row in
            try StandardOutput.printAtOnce(
                "| \(row.kind) | \(row.units) | \(row.time.seconds) | \(row.timeOfBudget.seconds) | "
                    + "\(row.memory >> 20) | \(row.disk >> 20) |")
        }
    }

    private func fuzz(_ directory: String) throws {
        let fuzz = SQLFuzz(prices: try SQLFuzz.measuredPrice(directory: directory))
        let start = ContinuousClock.now
        let first = seeds?.first ?? (seconds == nil ? 1 : UInt64(UInt32(truncatingIfNeeded: time(nil))))
        let last = seeds?.last ?? (seconds == nil ? 20 : UInt64.max)
        var totals = SQLFuzz.Report()
        var count = 0
        for seed in first...last {
            if let seconds, ContinuousClock.now - start >= .seconds(seconds) { break }
            // Printed first, so that the seed of a crash is known.
            try StandardOutput.printAtOnce("seed \(seed)")
            let report = fuzz.run(seed: seed, directory: directory)
            count += 1
            totals.transactions += report.transactions
            totals.successes += report.successes
            totals.slowestBlock = max(totals.slowestBlock, report.slowestBlock)
            totals.dearestBlock = max(totals.dearestBlock, report.dearestBlock)
            if let failure = report.failure {
                try StandardOutput.print("seed \(seed) FAILED  \(failure)")
                try StandardOutput.flush()
                throw ExitStatus(1)
            }
        }
        try StandardOutput.print(
            "\(count) seeds agree: \(totals.transactions) transactions, \(totals.successes) of them successful, "
                + "slowest block \(totals.slowestBlock), dearest \(Int(totals.dearestBlock * 100)) % of what it may take"
        )
    }
}
