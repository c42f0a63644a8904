import Chain
import Crypto
import Execution
import Glibc

/// An engine with its database, and what may happen to it between and within blocks without making a difference.
final class SQLTwin {
    /// What a block came to.
    enum Outcome: Equatable {
        case executed(ExecutionResult, cost: Int)
        /// So many transactions fit into the block's budget.
        case cut(Int)
    }

    /// What happens before or while a block is executed.
    enum History: CaseIterable {
        case none, reopened, rebuilt, executedTwice, queried
    }

    private let directory: String
    private let genesis: Genesis
    private var rebuilds = 0
    private(set) var application: SQLApplication
    private let prices: UnitPrice?
    /// The most CPU time that a block took.
    private(set) var slowestBlock = Duration.zero
    /// The most that it took in terms of its price.
    private(set) var dearestBlock = 0.0

    /// Has its databases in directories that begin with this path. Blocks that take longer than `prices` allows are failures.
    init(_ directory: String, _ genesis: Genesis, prices: UnitPrice?) throws {
        self.directory = directory
        self.genesis = genesis
        self.prices = prices
        application = try SQLApplication(directory: "\(directory)-0")
        try application.initialize(genesis)
    }

    /// Lives through something that must not matter. `chain` are the committed blocks.
    func experience(_ history: History, _ chain: [SQLFuzz.CommittedBlock]) throws {
        switch history {
        case .none, .executedTwice: break
        case .reopened:
            application.close()
            application = try SQLApplication(directory: "\(directory)-\(rebuilds)")
            try application.initialize(genesis)
        case .rebuilt:
            application.close()
            rebuilds += 1
            application = try SQLApplication(directory: "\(directory)-\(rebuilds)")
            try application.initialize(genesis)
            for block in chain {
                guard case .executed(let result, let cost) = try execute(block.block, block.transactions)
                else {
                    throw FuzzFailure("rebuilt: committed block \(block.block.header.height) is over budget")
                }
                guard result == block.result else {
                    throw FuzzFailure(
                        "rebuilt: block \(block.block.header.height): \(FuzzFailure.difference(block.result, result))"
                    )
                }
                guard cost == block.cost else {
                    throw FuzzFailure(
                        "rebuilt: block \(block.block.header.height) costs \(block.cost) and \(cost) units")
                }
                try application.commit()
            }
        case .queried:
            _ = try? application.query("SELECT count(*) FROM t", [], limits: QueryLimits())
        }
    }

    /// Executes a block and leaves it prepared.
    func execute(_ block: Block, _ transactions: [Transaction]) throws -> Outcome {
        let start = Self.threadTime
        let outcome: Outcome
        do {
            let result = try application.execute(
                block, transactions: transactions, parameters: genesis.parameters,
                validators: genesis.validators)
            outcome = .executed(result, cost: try application.blockCost())
        } catch ExecutionError.overBudget(let count) {
            outcome = .cut(count)
        }
        try judge(Self.threadTime - start)
        return outcome
    }

    private func judge(_ time: Duration) throws {
        slowestBlock = max(slowestBlock, time)
        guard let prices else { return }
        let cost = try application.blockCost()
        let share = prices.share(of: time, at: cost)
        dearestBlock = max(dearestBlock, share)
        guard share <= 1 else {
            throw FuzzFailure("\(FuzzFailure.slow) \(time) of CPU and costs \(cost) units")
        }
    }

    /// CPU time of the calling thread, on which blocks are executed.
    static var threadTime: Duration {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    /// Removes the databases of a case: every directory of one starts with this path.
    static func removeFiles(_ directory: String) {
        for name in ["a", "b"] {
            for number in 0...SQLFuzzCase.heights {
                let path = "\(directory)-\(name)-\(number)"
                for suffix in ["", "-wal", "-shm"] { unlink("\(path)/application.sqlite\(suffix)") }
                rmdir(path)
            }
        }
    }
}
