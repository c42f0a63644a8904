import Arguments
import Node
import Simulation

/// `apus-sim state`: measures blocks of an application with a large table.
struct StateCommand: Action {
    let root: String
    let rows: Int
    let blocks: Int

    /// What fits on a disk.
    private static let mostRows = 1_000_000_000
    private static let mostBlocks = 1_000_000

    static var command: Command {
        Command(
            "state",
            "Fill a table of a root directory of `apus init`, and print how many milliseconds a block then takes.",
            .required(
                "root", .text("DIRECTORY"),
                "Root directory of a node that is the only validator and does not run."),
            .required("rows", .integer(1...mostRows), "Rows to fill the table to."),
            .option(
                "blocks", .integer(1...mostBlocks), default: 1_000,
                "Blocks to commit, each with 10 rows changed and 10 inserted."),
            action: StateCommand.init)
    }

    func run() async throws {
        let builder = try await ChainBuilder(RootDirectory(root))
        try builder.fill(toRows: Int64(rows))
        // The first blocks fill caches.
        _ = try builder.commitTimes(blocks: max(1, blocks / 10))
        let times = try builder.commitTimes(blocks: blocks).sorted()
        try builder.close()
        for percentile in [50, 99] {
            let time = times[(times.count - 1) * percentile / 100]
            try StandardOutput.print("commit_p\(percentile) \(time.bareMilliseconds)")
        }
    }
}
