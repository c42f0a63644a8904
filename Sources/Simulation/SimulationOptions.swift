import Collections

/// Everything that one simulation is made of. `init(seed:)` derives all of it from the seed; each can then be changed.
public struct SimulationOptions: Sendable, Equatable {
    /// What executes transactions.
    public enum Execution: String, Sendable, CaseIterable {
        /// Accounts only, in memory: lost with the process and made again from the block log.
        case noop
        /// SQL on SQLite, in files that outlive the process.
        case sql
    }

    /// Where every choice comes from.
    public var seed: UInt64
    /// Who votes, the leader included.
    public var validators: Int
    /// Who follows.
    public var sentries: Int
    /// Height at which the phase with faults ends.
    public var blocks: Int64
    /// Shortest and longest time of the phase with faults.
    public var duration: ClosedRange<Duration>
    /// What executes transactions.
    public var execution: Execution
    /// Clients that send transactions.
    public var clients: Int
    /// Mean time between two faults; nil for none.
    public var faultInterval: Duration?
    /// Faults that may happen.
    public var faults: [FaultKind]
    /// Latency between hosts.
    public var latency: Duration
    /// Of 1,000 packets, how many are lost.
    public var lossPerMille: Int
    /// Largest difference of a node's clock from the true time.
    public var clockSkew: Duration
    /// Shortest time between two blocks.
    public var blockInterval: Duration
    /// Longest time without a block.
    public var emptyBlockInterval: Duration
    /// Peers that lie, flood and stall.
    public var adversaries: Int
    /// Largest block's transactions, bytes.
    public var maxBlockSize: Int64
    /// The most transactions that a block may have without costing too much; nil for no limit.
    public var blockBudget: Int?
    /// Mean time between two changes of who validates; nil for none.
    public var validatorInterval: Duration?
    /// How long a request to join may wait for approval.
    public var joinExpiry: Duration

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
        // Some seeds mix everything, others dwell on a few kinds.
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
    }

    /// One line a option, as a simulation prints them.
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
        ]
    }
}
