import Bytes
import Chain
import Collections
import Crypto
import Execution

/// Runs the blocks of a seed on two engines: one undisturbed, the other reopened, rebuilt from genesis or made to
/// execute a block twice. They must agree on every result, hash and row.
public struct SQLFuzz {
    /// The result of a seed.
    public struct Report: Sendable {
        /// The number of transactions committed by both engines.
        public var transactions = 0
        /// The number of those with code 0.
        public var successes = 0
        /// The maximum CPU time of a block on one engine.
        public var slowestBlock = Duration.zero
        /// The maximum share of its allowed CPU time that a block took.
        public var dearestBlock = 0.0
        /// The failure with the statements that remain after shrinking; nil for none.
        public var failure: String?
        /// Whether the failure is a block that took longer than its cost allows.
        var isSlow = false

        /// Creates an empty report.
        public init() {}
    }

    /// The node ID of the second sender, who may be granted the right to write.
    static let granted = keys[1].publicKey.nodeID
    /// The keys of the senders.
    static let keys: [PrivateKey] = (1...3).compactMap {
        try? PrivateKey(ed25519Seed: [UInt8](repeating: $0, count: 32))
    }
    static let chainID = "sql-fuzz"
    /// The maximum number of runs to shrink a case; each takes a fraction of a second.
    private static let shrinkAttempts = 120

    private let prices: UnitPrice

    /// Creates a fuzzer in which a block that takes longer than its cost allows fails.
    public init(prices: UnitPrice) { self.prices = prices }

    /// Runs a seed with its databases below a directory, which is created and removed.
    public func run(seed: UInt64, directory: String) -> Report {
        let whole = SQLFuzzCase(seed: seed)
        var report = run(whole, directory)
        // A pause of the machine counts against the running block, so only a block that is slow twice is reported.
        if report.isSlow { report = run(whole, directory) }
        guard let failure = report.failure else { return report }
        // Each attempt to shrink a slow case would take as long: report it whole.
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
