import Bytes
import Chain
import Collections
import Crypto
import Execution

/// Runs the blocks of a seed on two engines, one that runs on and one whose history is another: reopened, rebuilt from
/// genesis, made to execute a block twice. They must agree on every result, hash and row.
public struct SQLFuzz {
    /// What a seed came to.
    public struct Report: Sendable {
        /// Transactions that were committed by both.
        public var transactions = 0
        /// Those with code 0.
        public var successes = 0
        /// The most CPU time that a block took on one engine.
        public var slowestBlock = Duration.zero
        /// The most CPU time as a share of what a block might take for its cost.
        public var dearestBlock = 0.0
        /// What went wrong, with the statements that remain of it; nil when nothing did.
        public var failure: String?
        /// Whether that is a block that took longer than it pays for.
        var isSlow = false

        /// A report of nothing.
        public init() {}
    }

    /// Who may be given the right to write: the second sender's node ID.
    static let granted = keys[1].publicKey.nodeID
    /// The senders'.
    static let keys: [PrivateKey] = (1...3).compactMap {
        try? PrivateKey(ed25519Seed: [UInt8](repeating: $0, count: 32))
    }
    static let chainID = "sql-fuzz"
    /// A case is run at most so often to make it smaller: each run takes a fraction of a second.
    private static let shrinkAttempts = 120

    private let prices: UnitPrice

    /// A fuzzer that lets no block take longer than it pays for.
    public init(prices: UnitPrice) { self.prices = prices }

    /// Runs a seed with its databases below a directory, which is made and removed.
    public func run(seed: UInt64, directory: String) -> Report {
        let whole = SQLFuzzCase(seed: seed)
        var report = run(whole, directory)
        // A machine that stands still for a moment charges that to whatever runs: only what is slow twice is slow.
        if report.isSlow { report = run(whole, directory) }
        guard let failure = report.failure else { return report }
        // Each attempt to make a slow case smaller would take as long: it is told as it is.
        let smallest =
            report.isSlow
            ? whole
            : whole.shrunk(attempts: Self.shrinkAttempts) { run($0, directory).failure != nil }
        let remaining = run(smallest, directory).failure ?? failure
        report.failure = "\(remaining)\n\(smallest.text)\nreplay: apus-sim fuzz-sql --seeds \(seed)-\(seed)"
        return report
    }

    /// Runs a case once.
    func run(_ fuzzCase: SQLFuzzCase, _ directory: String) -> Report {
        var report = Report()
        defer { try? DirectoryTree.remove(directory) }
        do {
            var random = SeededGenerator(seed: fuzzCase.seed, stream: "heap")
            let pair = try Pair(
                directory, prices: prices, heap: random.pick(TwinHeap.allCases) ?? .ordinary)
            defer { pair.close() }
            for (index, block) in fuzzCase.blocks.enumerated() {
                do {
                    var random = SeededGenerator(seed: fuzzCase.seed, stream: "history \(index + 1)")
                    let history = random.pick(SQLTwin.History.allCases) ?? .none
                    let results = try pair.step(block, after: history)
                    report.transactions += results.count
                    report.successes += results.count { $0.code == TransactionCode.ok.rawValue }
                } catch {
                    report.isSlow = (error as? TwinFailure)?.isSlow ?? false
                    throw TwinFailure("height \(index + 1): \(error)")
                }
            }
            report.slowestBlock = pair.slowestBlock
            report.dearestBlock = pair.dearestBlock
            try pair.compareDatabases(fuzzCase)
        } catch {
            report.failure = "\(error)"
        }
        return report
    }
}
