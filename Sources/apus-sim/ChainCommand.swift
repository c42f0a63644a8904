import Arguments
import Node
import Simulation

/// `apus-sim chain`: makes a long chain for measurements.
struct ChainCommand: Action {
    let root: String
    let height: Int
    let transactions: Int
    let bytes: Int

    /// Months of blocks.
    private static let mostBlocks = 100_000_000
    /// What a block of the default size holds.
    private static let mostTransactions = 10_000
    /// What a statement may have.
    private static let mostBytes = 100_000

    static var command: Command {
        Command(
            "chain",
            "Extend the chain of a root directory of `apus init` to a height, without a network, as fast as it goes.",
            .required(
                "root", .text("DIRECTORY"),
                "Root directory of a node that is the only validator and does not run."),
            .required("height", .integer(1...mostBlocks), "Height of the last block."),
            .option(
                "transactions", .integer(0...mostTransactions), default: 1,
                "Transactions in each block; each inserts a row."),
            .option(
                "bytes", .integer(0...mostBytes), default: 0, "Bytes of each row, at least."),
            action: ChainCommand.init)
    }

    func run() async throws {
        let start = ContinuousClock.now
        let builder = try await ChainBuilder(RootDirectory(root))
        try builder.grow(to: Int64(height), transactions: transactions, bytes: bytes)
        try builder.close()
        try StandardOutput.print("height \(builder.height) in \((ContinuousClock.now - start).seconds) s")
    }
}
