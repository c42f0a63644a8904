import Collections

/// The options of a simulation. `init(seed:)` derives all of them from the seed; each can then be changed.
public struct SimulationOptions: Sendable, Equatable {
    /// The application that executes transactions.
    public enum Execution: String, Sendable, CaseIterable {
        /// Accounts only, in memory: lost with the process and rebuilt from the block log.
        case noop
        /// SQLite, in files that outlive the process.
        case sql
    }

    /// The source of every random choice.
    public var seed: UInt64
    /// The number of validators, the leader included.
    public var validators: Int
    /// The number of sentries.
    public var sentries: Int
    /// The height at which faults end.
    public var blocks: Int64
    /// The shortest and longest duration of faults.
    public var duration: ClosedRange<Duration>
    /// The application that executes transactions.
    public var execution: Execution
    /// The number of clients that send transactions.
    public var clients: Int
    /// The mean time between two faults; nil for none.
    public var faultInterval: Duration?
    /// The kinds of faults to inject.
    public var faults: [FaultKind]
    /// The latency between hosts.
    public var latency: Duration
    /// The number of packets lost per 1,000.
    public var lossPerMille: Int
    /// The maximum offset of a node's clock from the true time.
    public var clockSkew: Duration
    /// The minimum time between two blocks.
    public var blockInterval: Duration
    /// The interval of empty blocks; zero for none.
    public var emptyBlockInterval: Duration
    /// The number of peers that lie, flood and stall.
    public var adversaries: Int
    /// The maximum size of a block's transactions, in bytes.
    public var maxBlockSize: Int64
    /// The number of transactions that fit into a block's budget; nil for no limit.
    public var blockBudget: Int?
    /// The mean time between two changes of the validator set; nil for none.
    public var validatorInterval: Duration?
    /// The time for which a request to join waits for approval.
    public var joinExpiry: Duration
    /// The number of blocks that every third node keeps at least; nil if all keep everything.
    public var keptBlocks: Int?
    /// Whether every second node takes proposals only as whole blocks, as nodes of other makes do.
    public var isMixed: Bool

    /// Derives everything from a seed.
    public init(seed: UInt64) {
        var random = SeededGenerator(seed: seed, stream: "options")
        self.seed = seed
        validators = [1, 3, 4, 4, 5, 7].randomElement(using: &random) ?? 4
        sentries = Int.random(in: 0...3, using: &random)
        blocks = Int64.random(in: 15...40, using: &random)
        let seconds = Int64.random(in: 30...90, using: &random)
        duration = .seconds(seconds) / 2 ... .seconds(seconds)
        execution = random.oneIn(4) ? .sql : .noop
        clients = Int.random(in: 1...4, using: &random)
        faultInterval = random.oneIn(10) ? nil : random.milliseconds(500...6_000)
        // Some seeds mix all kinds, others use only a few.
        faults =
            random.oneIn(2)
            ? FaultKind.allCases
            : FaultKind.allCases.shuffled(using: &random).prefix(4).sorted { $0.rawValue < $1.rawValue }
        latency = random.milliseconds(1...120)
        lossPerMille = random.oneIn(2) ? 0 : Int.random(in: 1...30, using: &random)
        clockSkew = random.milliseconds(0...2_000)
        blockInterval = random.milliseconds(100...1_000)
        emptyBlockInterval = random.oneIn(3) ? .zero : random.milliseconds(1_000...5_000)
        adversaries = random.oneIn(3) ? 1 : 0
        maxBlockSize = random.oneIn(4) ? 2_000 : 6 << 20
        validatorInterval = random.oneIn(2) ? nil : random.milliseconds(500...8_000)
        joinExpiry = random.oneIn(2) ? .seconds(3600) : random.milliseconds(1_000...30_000)
        blockBudget = random.oneIn(3) ? Int.random(in: 1...4, using: &random) : nil
        keptBlocks = execution == .sql && random.oneIn(2) ? Int.random(in: 2...8, using: &random) : nil
        isMixed = random.oneIn(2)
    }

    /// The options as a simulation prints them, one per line.
    public var lines: [String] {
        [
            "seed \(seed)", "validators \(validators)", "sentries \(sentries)", "blocks \(blocks)",
            "duration \(duration.lowerBound) to \(duration.upperBound)", "execution \(execution.rawValue)",
            "clients \(clients)",
            "fault interval \(faultInterval.map { "\($0)" } ?? "none")",
            "faults \(faults.map(\.rawValue).joined(separator: ","))", "latency \(latency)",
            "loss \(lossPerMille) per mille", "clock skew \(clockSkew)", "block interval \(blockInterval)",
            "empty block interval \(emptyBlockInterval)", "adversaries \(adversaries)",
            "max block size \(maxBlockSize)",
            "block budget \(blockBudget.map { "\($0) transactions" } ?? "none")", "join expiry \(joinExpiry)",
            "validator interval \(validatorInterval.map { "\($0)" } ?? "none")",
            "compact proposals at \(isMixed ? "every second node" : "all nodes")",
            "kept blocks \(keptBlocks.map { "\($0) at every third node" } ?? "all")",
        ]
    }
}
