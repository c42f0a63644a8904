import Bytes
import Chain
import Execution
import Glibc

/// An SQL engine with its database, to which things happen between and within blocks that must not change any result.
final class SQLTwin {
    /// A block and all other inputs of its execution.
    struct Input {
        let block: Block
        let transactions: [Transaction]
        let parameters: NetworkParameters
        let validators: ValidatorSet
    }

    /// What happens to the engine before it executes a block.
    enum History: CaseIterable {
        case none
        /// Closed, and opened again from its database.
        case reopened
        /// Rebuilt from the genesis by executing all blocks again.
        case rebuilt
        /// Its compiled statements are dropped.
        case forgetful
        /// Executes the block, whole and without its first transaction, and rolls back.
        case executedTwice
        /// Answers a query.
        case queried
    }

    private let directory: String
    private let genesis: Genesis
    private let heap: TwinHeap
    private let prices: UnitPrice?
    private(set) var application: SQLApplication
    /// The committed blocks, from the first one on.
    private(set) var committed: [(input: Input, outcome: Outcome)] = []
    private var prepared: (input: Input, outcome: Outcome)?
    /// The height of the prepared block; nil if there is none.
    var preparedHeight: Int64? { prepared?.input.block.height }
    /// The CPU time of the last block.
    private(set) var lastBlock = Duration.zero
    /// The maximum CPU time of a block.
    private(set) var slowestBlock = Duration.zero
    /// The maximum share of its allowed CPU time that a block took.
    private(set) var dearestBlock = 0.0

    /// Opens an engine with a new database in a directory of its own. A block that takes longer than `prices` allows
    /// fails.
    init(_ directory: String, _ genesis: Genesis, prices: UnitPrice? = nil, heap: TwinHeap = .ordinary) throws
    {
        (self.directory, self.genesis, self.prices, self.heap) = (directory, genesis, prices, heap)
        application = try Self.open(directory, genesis, heap)
    }

    private static func open(_ directory: String, _ genesis: Genesis, _ heap: TwinHeap) throws
        -> SQLApplication
    {
        try DirectoryTree.create(directory)
        let application = try SQLApplication(directory: directory)
        if let pages = heap.cachedPages { try application.limitCache(toPages: pages) }
        try application.initialize(genesis)
        return application
    }

    /// Executes a block after `history` and leaves it prepared unless it is cut.
    func execute(_ input: Input, after history: History) throws -> Outcome {
        try experience(history, input)
        let outcome = try execute(input)
        if case .executed = outcome { prepared = (input, outcome) }
        return outcome
    }

    /// Commits the prepared block.
    func commit() throws {
        guard let prepared else { return }
        try application.commit()
        committed.append(prepared)
        self.prepared = nil
    }

    /// Rolls back the prepared block, if there is one.
    func rollback() throws {
        prepared = nil
        try application.rollback()
    }

    private func experience(_ history: History, _ input: Input) throws {
        switch history {
        case .none: break
        case .reopened:
            application.close()
            application = try Self.open(directory, genesis, heap)
        case .rebuilt: try rebuild()
        case .forgetful: try application.forgetCaches()
        case .executedTwice:
            _ = try execute(input)
            try application.rollback()
            let rest = Input(
                block: input.block, transactions: Array(input.transactions.dropFirst()),
                parameters: input.parameters, validators: input.validators)
            _ = try execute(rest)
            try application.rollback()
        case .queried:
            _ = try? application.query("SELECT count(*) FROM t", [], limits: QueryLimits())
        }
    }

    private func rebuild() throws {
        application.close()
        try DirectoryTree.remove(directory)
        application = try Self.open(directory, genesis, heap)
        for (input, outcome) in committed {
            if let difference = outcome.difference(from: try execute(input)) {
                throw TwinFailure(
                    "block \(input.block.height), executed again from the genesis: \(difference)")
            }
            try application.commit()
        }
    }

    private func execute(_ input: Input) throws -> Outcome {
        let start = Self.threadTime
        let outcome: Outcome
        do {
            let result = try heap.run {
                try application.execute(
                    input.block, transactions: input.transactions, parameters: input.parameters,
                    validators: input.validators)
            }
            outcome = .executed(result, cost: try application.blockCost())
        } catch ExecutionError.overBudget(let count) {
            outcome = .cut(count)
        }
        try judge(Self.threadTime - start)
        return outcome
    }

    private func judge(_ time: Duration) throws {
        lastBlock = time
        slowestBlock = max(slowestBlock, time)
        guard let prices else { return }
        let cost = try application.blockCost()
        let share = prices.share(of: time, at: cost)
        dearestBlock = max(dearestBlock, share)
        guard share <= 1 else {
            throw TwinFailure("a block took \(time) of CPU and costs \(cost) units", isSlow: true)
        }
    }

    /// Closes the database and removes its files.
    func remove() {
        application.close()
        try? DirectoryTree.remove(directory)
    }

    /// The CPU time of the calling thread, which executes the blocks.
    private static var threadTime: Duration {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}
