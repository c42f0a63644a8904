import Chain
import Execution
import Reactor
import Synchronization

/// An application on a simulated machine: it can be made to fail, its block budget is the same on every machine, and
/// a twin repeats its executions.
final class SimulatedApplication: Application {
    private let application: any Application
    private let machine: Machine
    private let blockBudget: Int?
    private let twin: TwinChecker?

    /// The machine's fault state, which outlives the process.
    final class Machine: Sendable {
        private let trouble = Atomic(false)
        private let stopCount = Atomic(0)
        private let misplacedCount = Atomic(0)

        /// Whether executions and commits fail.
        var isTroubled: Bool {
            get { trouble.load(ordering: .relaxed) }
            set { trouble.store(newValue, ordering: .relaxed) }
        }

        /// The number of requests to stop an execution.
        var stops: Int { stopCount.load(ordering: .relaxed) }

        /// The number of calls by jobs that must not wait for a disk.
        var misplaced: Int { misplacedCount.load(ordering: .relaxed) }

        fileprivate func countUse() {
            if !Worker.mayBlock { misplacedCount.add(1, ordering: .relaxed) }
        }

        fileprivate func countStop() { stopCount.add(1, ordering: .relaxed) }
    }

    /// - Parameter blockBudget: the maximum number of transactions in a block; nil for no limit.
    init(_ application: any Application, on machine: Machine, blockBudget: Int?, twin: TwinChecker?) {
        self.application = application
        self.machine = machine
        self.blockBudget = blockBudget
        self.twin = twin
    }

    var tip: ApplicationTip { application.tip }

    /// SQLite's files are real ones, which survive the faults of the virtual disk.
    var durableHeight: Int64 { application is SQLApplication ? application.tip.height : .min }

    func initialize(_ genesis: Genesis) throws(ExecutionError) { try application.initialize(genesis) }

    func execute(
        _ block: Block, transactions: [Transaction], parameters: NetworkParameters, validators: ValidatorSet
    ) throws(ExecutionError) -> ExecutionResult {
        machine.countUse()
        if machine.isTroubled {
            try application.rollback()
            throw .failed(file: "simulated", reason: "out of memory")
        }
        if let blockBudget, transactions.count > blockBudget {
            try application.rollback()
            throw .overBudget(transactions: blockBudget)
        }
        let input = SQLTwin.Input(
            block: block, transactions: transactions, parameters: parameters, validators: validators)
        do throws(ExecutionError) {
            let result = try application.execute(
                block, transactions: transactions, parameters: parameters, validators: validators)
            tell(input) { (engine) throws(ExecutionError) in .executed(result, cost: try engine.blockCost()) }
            return result
        } catch {
            if case .overBudget(let count) = error { tell(input) { _ in .cut(count) } }
            throw error
        }
    }

    /// Passes an execution to the twin. In a simulation the application runs on the loop.
    private func tell(
        _ input: SQLTwin.Input, _ outcome: (SQLApplication) throws(ExecutionError) -> SQLTwin.Outcome
    ) {
        guard let twin, let application = application as? SQLApplication,
            let outcome = try? outcome(application)
        else { return }
        ReactorActor.assumeIsolated { twin.executed(input, outcome) }
    }

    func stop() {
        machine.countStop()
        application.stop()
    }

    func commit() throws(ExecutionError) {
        machine.countUse()
        if machine.isTroubled {
            try application.rollback()
            throw .failed(file: "simulated", reason: "out of memory")
        }
        try application.commit()
        if let twin { ReactorActor.assumeIsolated { twin.committed() } }
    }

    func rollback() throws(ExecutionError) { try application.rollback() }

    func account(_ id: AccountID) throws(ExecutionError) -> Account? {
        machine.countUse()
        return try application.account(id)
    }

    func validatorRequests() throws(ExecutionError) -> [ValidatorRequest] {
        try application.validatorRequests()
    }

    func query(_ sql: String, _ parameters: [RawStatement.Parameter], limits: QueryLimits)
        throws(ExecutionError) -> QueryResult
    {
        machine.countUse()
        return try application.query(sql, parameters, limits: limits)
    }

    func close() { application.close() }
}
