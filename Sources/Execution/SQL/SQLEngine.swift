import Bytes
import CShims
import Chain
import Crypto

/// The writing side of `SQLApplication`. It executes a block, or several that are committed together, in one SQLite
/// transaction, with a savepoint for each statement.
///
/// Not thread-safe: one thread at a time.
final class SQLEngine {
    let connection: SQLiteConnection
    private let stopFlag: StopFlag
    private let log: WriteAheadLog
    private let runner: StatementRunner
    private var control: ControlStatements?
    private var writers: [AccountID: Bool] = [:]
    private var state: StoredState?
    /// The prepared blocks, in order.
    private var prepared: [PreparedBlock] = []
    /// The pending validator requests in committed state.
    private(set) var requests = ValidatorRequests()

    /// What all transactions of a block have in common.
    private struct BlockContext {
        let block: Block
        let transactions: [Transaction]
        let parameters: NetworkParameters
        let validators: ValidatorSet
        let owner: AccountID?
        /// The tip and the pending validator requests before the block.
        let tip: ApplicationTip
        let requests: ValidatorRequests
        let control: ControlStatements
    }

    /// The outcome of running a block.
    private enum Run {
        case done(ExecutionResult)
        /// The meter interrupted the statement of this transaction, and SQLite undid the whole block with it.
        case interrupted(Int)
        /// The block exceeds its budget before this transaction.
        case overBudget(Int)
    }

    init(path: String, cacheBytes: Int, stopFlag: StopFlag) throws(SQLiteFailure) {
        self.stopFlag = stopFlag
        connection = try SQLiteConnection(path: path, access: .readWrite)
        runner = try StatementRunner(connection, stopFlag)
        try StoredState.prepareFile(connection)
        try connection.limitCache(toBytes: cacheBytes)
        log = WriteAheadLog(of: connection, stopFlag: stopFlag)
        state = try StoredState.load(connection)
        if state != nil {
            control = try ControlStatements(connection)
            requests = try ValidatorTable.load(connection)
        }
    }

    deinit {
        rollback()
        log.finish()
    }

    /// The last committed block; nil before `initialize`.
    var tip: ApplicationTip? { state?.tip }

    /// The cost of the last executed block, in units.
    var blockCost: Int { runner.used }

    /// The height of the last complete checkpoint; `Int64.min` before the first.
    private(set) var durableHeight = Int64.min

    /// Creates the genesis state, or checks that existing state belongs to this genesis.
    func initialize(_ genesis: Genesis) throws(ExecutionError) {
        if let state {
            guard state.genesisHash == genesis.hash else { throw .otherGenesis(file: connection.path) }
            return
        }
        do {
            state = try StoredState.create(genesis, in: connection)
            control = try ControlStatements(connection)
        } catch {
            throw error.nodeError
        }
    }

    /// See `Application.execute`.
    func execute(
        _ block: Block, _ transactions: [Transaction], _ parameters: NetworkParameters,
        _ validators: ValidatorSet
    ) throws(ExecutionError) -> ExecutionResult {
        guard let state, let control else { throw .notInitialized }
        let tip = prepared.last?.tip ?? state.tip
        try tip.check(block)
        // In a transaction that has changed the schema, each rollback to a savepoint makes SQLite read the schema again, at the
        // cost of the next statement.
        guard prepared.isEmpty || !runner.hasChangedSchema else { throw .commitFirst }
        defer { stopFlag.lower() }
        let context = BlockContext(
            block: block, transactions: transactions, parameters: parameters, validators: validators,
            owner: state.owner, tip: tip, requests: prepared.last?.requests ?? requests, control: control)
        let isAlone = prepared.isEmpty
        var run: Run
        do throws(SQLiteFailure) {
            run = try self.run(context, without: nil)
            if case .interrupted(let index) = run, isAlone {
                abandon()
                run = try self.run(context, without: index)
            }
        } catch {
            abandon()
            throw error.nodeError
        }
        switch run {
        case .done(let result): return result
        case .interrupted where !isAlone:
            abandon()
            throw .undone
        case .interrupted(let index), .overBudget(let index):
            // Allow one interrupted statement a block: each makes everything before it run again.
            abandon()
            throw .overBudget(transactions: index)
        }
    }

    /// Commits the prepared blocks and returns them.
    func commit() throws(ExecutionError) -> [PreparedBlock] {
        guard let first = prepared.first, let last = prepared.last, let control else {
            throw .outOfOrder("no block is prepared")
        }
        do throws(SQLiteFailure) {
            try control.commit.run()
        } catch {
            abandon()
            throw error.nodeError
        }
        defer { prepared = [] }
        if log.committed(on: first.height &- 1) { durableHeight = last.height }
        state?.tip = last.tip
        requests = last.requests
        return prepared
    }

    /// Undoes the prepared blocks, if any.
    func rollback() {
        if !prepared.isEmpty { abandon() }
    }

    /// Empties the caches, which may reflect a block that is undone.
    func forgetCaches() {
        runner.forget()
        writers = [:]
    }

    private func abandon() {
        prepared = []
        forgetCaches()
        // Fails only if SQLite has already rolled back.
        if !connection.isAutocommit { try? connection.execute("ROLLBACK") }
    }

    /// Runs a block without the transaction `interrupted`, whose statement an earlier run had to interrupt.
    private func run(_ context: BlockContext, without interrupted: Int?) throws(SQLiteFailure) -> Run {
        let control = context.control
        var rules = ValidatorRules(context.requests, context.block, context.validators, context.parameters)
        if prepared.isEmpty {
            try control.begin.run()
            runner.hasChangedSchema = false
        }
        runner.begin()
        var ledger = Ledger(parameters: context.parameters)
        var results: [TransactionResult] = []
        results.reserveCapacity(context.transactions.count)
        for (index, transaction) in context.transactions.enumerated() {
            if stopFlag.isRaised { throw stopped }
            guard runner.used < CostModel.block.value || index == 0 else { return .overBudget(index) }
            runner.charge(CostModel.transaction.value)
            guard let sender = transaction.account else {
                results.append(TransactionResult(.invalidSignature, log: "unknown signature type"))
                continue
            }
            let fee: Int64
            switch try ledger.admit(transaction, from: sender, control.account) {
            case .refused(let result):
                results.append(result)
                continue
            case .admitted(let taken):
                fee = taken
            }
            let outcome: Outcome
            if index == interrupted {
                // Charge it all the same, so that the block's cost does not depend on how SQLite ended the statement.
                runner.charge(CostModel.statement.value)
                outcome = .overrun
            } else {
                outcome = try perform(transaction, sender, &ledger, &rules, context)
                if outcome == .overrun, connection.isAutocommit { return .interrupted(index) }
            }
            results.append(outcome.result(gas: fee))
        }
        return .done(try finish(context, ledger, &rules, results))
    }

    /// Writes the block's changes of accounts, validator requests and tip, and prepares the block for its commit.
    private func finish(
        _ context: BlockContext, _ ledger: Ledger, _ rules: inout ValidatorRules,
        _ results: [TransactionResult]
    ) throws(SQLiteFailure) -> ExecutionResult {
        let (control, block) = (context.control, context.block)
        let updates = rules.finish()
        let changes = ledger.changes
        runner.recorder.beginStatement(nil)
        try control.requests.replace(context.requests, with: rules.requests)
        for change in changes { try control.write(change.account, of: change.id) }
        try runner.recorder.endStatement()
        let hash = ApplicationHash.next(
            after: context.tip.appHash, changes: runner.recorder.finish(updates), results: results)
        let result = ExecutionResult(
            appHash: hash, results: results, parameterUpdates: ParameterUpdates(), validatorUpdates: updates,
            accounts: changes)
        let prepared = PreparedBlock(height: block.height, result: result, requests: rules.requests)
        try control.write(prepared.tip, block.hash)
        self.prepared.append(prepared)
        return result
    }

    private var stopped: SQLiteFailure {
        SQLiteFailure(code: SQLITE_INTERRUPT, message: "stopped", file: connection.path)
    }

    private func perform(
        _ transaction: Transaction, _ sender: AccountID, _ ledger: inout Ledger,
        _ rules: inout ValidatorRules, _ context: BlockContext
    ) throws(SQLiteFailure) -> Outcome {
        guard let payload = try? Payload(of: transaction.body) else {
            return .refused(.encodingError, "the payload cannot be decoded")
        }
        switch payload {
        case .rawStatement(let statement):
            let isOwner = sender == context.owner
            let mayWrite = isOwner ? true : try isGranted(sender, context.control)
            guard mayWrite else {
                return .refused(.invalidSender, "\(sender) may not write")
            }
            let (outcome, writesGrants) = try runner.run(statement, isOwner: isOwner, context.control)
            if writesGrants { writers = [:] }
            return outcome
        case .transfer(let receiver, let amount):
            if let refusal = try ledger.transfer(amount, from: sender, to: receiver, context.control.account)
            {
                return .failed(refusal)
            }
            return .done
        case .execute:
            return .refused(.invalidTransactionType, "this application has no actions: send raw_statement")
        case .validatorJoin, .validatorLeave, .validatorApprove, .validatorRemove:
            return rules.perform(payload, by: sender).map(Outcome.failed) ?? .done
        case .other(let type, _):
            return .refused(.invalidTransactionType, "unknown payload type \(RawText(type).quoted())")
        }
    }

    private func isGranted(_ sender: AccountID, _ control: ControlStatements) throws(SQLiteFailure) -> Bool {
        if let known = writers[sender] { return known }
        let isGranted = try control.isGranted(sender)
        if writers.count >= ExecutionLimits.cachedAccounts { writers = [:] }
        writers[sender] = isGranted
        return isGranted
    }
}
