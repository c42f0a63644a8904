import CShims
import Chain
import Crypto
import Multiformats

/// The writing side of `SQLApplication`: runs blocks, one SQLite transaction a block and a savepoint a transaction.
///
/// One thread at a time.
final class SQLEngine {
    let connection: SQLiteConnection
    private let meter: CostMeter
    private let stopFlag: StopFlag
    private let rules: TableRules
    private let log: WriteAheadLog
    private var cache = StatementCache()
    /// Of the schema as it is now; nil when it has to be read.
    private var sizes: SchemaSizes?
    private var control: ControlStatements?
    private var writers: [AccountID: Bool] = [:]
    private var state: StoredState?
    private var prepared: Prepared?
    /// Committed.
    private(set) var requests = ValidatorRequests()

    /// A block that was executed and waits for `commit` or `rollback`.
    struct Prepared {
        let tip: ApplicationTip
        let accounts: [(id: AccountID, account: Account)]
        let requests: ValidatorRequests
    }

    /// How a run of a block ended.
    private enum Run {
        case done(ExecutionResult)
        /// A statement used up its budget, and SQLite undid the whole block with it.
        case undone
    }

    init(path: String, stopFlag: StopFlag) throws(SQLiteFailure) {
        self.stopFlag = stopFlag
        meter = CostMeter(stopFlag)
        connection = try SQLiteConnection(path: path, access: .readWrite)
        rules = TableRules(connection: connection)
        try StoredState.prepareFile(connection)
        log = WriteAheadLog(of: connection, stopFlag: stopFlag)
        meter.attach(to: connection, every: ExecutionLimits.statementStride)
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

    /// Height and hash of what is committed; nil before `initialize`.
    var tip: ApplicationTip? { state?.tip }

    /// Makes the genesis state, or checks that the one that is there is this genesis's.
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
        guard prepared == nil else { throw .outOfOrder("a block is prepared already") }
        guard block.height == state.tip.height &+ 1 else {
            throw .outOfOrder("block \(block.height) does not follow height \(state.tip.height)")
        }
        defer { stopFlag.lower() }
        // Senders whose statement used up its budget, and where in the block.
        var overruns: [AccountID: Int] = [:]
        do throws(SQLiteFailure) {
            while true {
                let rules = ValidatorRules(requests, block, validators, parameters)
                let run = try run(block, transactions, parameters, rules, state, control, &overruns)
                if case .done(let result) = run { return result }
                abandon()
            }
        } catch {
            abandon()
            throw error.nodeError
        }
    }

    /// Makes the prepared block durable, and returns it.
    func commit() throws(ExecutionError) -> Prepared {
        guard let prepared, let control else { throw .outOfOrder("no block is prepared") }
        do throws(SQLiteFailure) {
            try control.commit.run()
        } catch {
            abandon()
            throw error.nodeError
        }
        self.prepared = nil
        log.committed(on: prepared.tip.height &- 1)
        state?.tip = prepared.tip
        requests = prepared.requests
        return prepared
    }

    /// Undoes the prepared block, if any.
    func rollback() {
        if prepared != nil { abandon() }
    }

    private func abandon() {
        prepared = nil
        // What was compiled or learned within the block may not hold without it.
        cache.removeAll()
        sizes = nil
        writers = [:]
        // Fails only where SQLite has rolled back by itself.
        if !connection.isAutocommit { try? connection.execute("ROLLBACK") }
    }

    private func run(
        _ block: Block, _ transactions: [Transaction], _ parameters: NetworkParameters,
        _ rules: ValidatorRules, _ state: StoredState, _ control: ControlStatements,
        _ overruns: inout [AccountID: Int]
    ) throws(SQLiteFailure) -> Run {
        var rules = rules
        try control.begin.run()
        let recorder = try ChangeRecorder(connection)
        var ledger = Ledger(parameters: parameters)
        var results: [TransactionResult] = []
        results.reserveCapacity(transactions.count)
        for (index, transaction) in transactions.enumerated() {
            if stopFlag.isRaised { throw stopped }
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
            if let overrun = overruns[sender], index >= overrun {
                outcome =
                    index == overrun
                    ? .overrun : .refused(.unknownError, "the sender's statement exceeded its budget")
            } else {
                outcome = try perform(transaction, sender, &ledger, &rules, state, control, recorder)
                if outcome == .overrun {
                    overruns[sender] = index
                    if connection.isAutocommit { return .undone }
                }
            }
            results.append(outcome.result(gas: fee))
        }
        let updates = rules.finish()
        try control.requests.replace(requests, with: rules.requests)
        let changes = ledger.changes
        for change in changes { try control.write(change.account, of: change.id) }
        let hash = ApplicationHash.next(
            after: state.tip.appHash, changes: try recorder.finish(updates), results: results)
        let tip = ApplicationTip(height: block.height, appHash: hash)
        try control.write(tip, block.hash)
        prepared = Prepared(tip: tip, accounts: changes, requests: rules.requests)
        return .done(
            ExecutionResult(
                appHash: hash, results: results, parameterUpdates: ParameterUpdates(),
                validatorUpdates: updates, accounts: ledger.changedAccounts))
    }

    private var stopped: SQLiteFailure {
        SQLiteFailure(code: SQLITE_INTERRUPT, message: "stopped", file: connection.path)
    }

    private func perform(
        _ transaction: Transaction, _ sender: AccountID, _ ledger: inout Ledger,
        _ rules: inout ValidatorRules, _ state: StoredState, _ control: ControlStatements,
        _ recorder: ChangeRecorder
    ) throws(SQLiteFailure) -> Outcome {
        guard let payload = try? Payload(of: transaction.body) else {
            return .refused(.encodingError, "the payload cannot be decoded")
        }
        switch payload {
        case .rawStatement(let statement):
            let isOwner = sender == state.owner
            let mayWrite = isOwner ? true : try isGranted(sender, control)
            guard mayWrite else {
                return .refused(.invalidSender, "\(sender) may not write")
            }
            return try run(statement, isOwner: isOwner, control, recorder)
        case .transfer(let receiver, let amount):
            if let refusal = try ledger.transfer(amount, from: sender, to: receiver, control.account) {
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

    private func run(
        _ raw: RawStatement, isOwner: Bool, _ control: ControlStatements, _ recorder: ChangeRecorder
    ) throws(SQLiteFailure) -> Outcome {
        let compiled: CompiledStatement
        switch try compile(raw.sql) {
        case .success(let statement): compiled = statement
        case .failure(let fault): return .refused(.unknownError, fault.text)
        }
        let findings = compiled.findings
        if !isOwner, findings.changesSchema || findings.writesGrants {
            let what = findings.writesGrants ? "write to \(StatementPolicy.grantsTable)" : "change the schema"
            return .refused(.invalidSender, "only the database's owner may \(what)")
        }
        defer { compiled.statement.reset() }
        do throws(SQLiteFailure) {
            if let fault = try compiled.bind(raw.parameters) { return .refused(.unknownError, fault.text) }
        } catch {
            guard error.isStatementFault else { throw error }
            return .refused(.unknownError, error.message)
        }
        if findings.writesGrants { writers = [:] }
        if findings.changesSchema { return try changeSchema(compiled, control, recorder) }
        return try atomically(control) { () throws(SQLiteFailure) in
            try run(compiled)
            return nil
        }
    }

    /// Runs a compiled statement to its end, within the meter. The policy has judged it; what SQLite prepares while
    /// it runs is its own, the session's look at the table for instance.
    private func run(_ compiled: CompiledStatement) throws(SQLiteFailure) {
        compiled.statement.resetInstructionCount()
        meter.start(ExecutionLimits.statementInstructions)
        defer { meter.stop() }
        while try compiled.statement.step() {}
    }

    /// Runs `body` in a savepoint, which is undone when `body` fails by its own fault or answers one.
    private func atomically(
        _ control: ControlStatements, _ body: () throws(SQLiteFailure) -> StatementFault?
    ) throws(SQLiteFailure) -> Outcome {
        try control.savepoint.run()
        var outcome = Outcome.done
        do throws(SQLiteFailure) {
            if let fault = try body() {
                outcome = .refused(.unknownError, fault.text)
            } else if connection.hasDeferredViolations {
                outcome = .refused(.unknownError, "FOREIGN KEY constraint failed")
            }
        } catch {
            if error.isInterrupt {
                if stopFlag.isRaised { throw error }
                outcome = .overrun
                // SQLite rolls the transaction back with a statement that writes.
                if connection.isAutocommit { return outcome }
            } else {
                guard error.isStatementFault, !connection.isAutocommit else { throw error }
                outcome = .refused(.unknownError, error.message)
            }
        }
        if outcome != .done { try control.rollbackToSavepoint.run() }
        try control.release.run()
        return outcome
    }

    private func changeSchema(
        _ compiled: CompiledStatement, _ control: ControlStatements, _ recorder: ChangeRecorder
    ) throws(SQLiteFailure) -> Outcome {
        try recorder.pause()
        let outcome = try atomically(control) { () throws(SQLiteFailure) in
            if let table = compiled.findings.createdTable {
                if let fault = try create(table, compiled, control) { return fault }
            } else {
                try run(compiled)
            }
            return try rules.violation()
        }
        cache.removeAll()
        sizes = nil
        guard outcome != .overrun || !connection.isAutocommit else { return outcome }
        try recorder.resume(after: outcome == .done ? compiled.text.sql.string : nil)
        return outcome
    }

    private func create(
        _ table: RawText, _ compiled: CompiledStatement, _ control: ControlStatements
    ) throws(SQLiteFailure) -> StatementFault? {
        if try rules.exists(table) {
            try run(compiled)
            return nil
        }
        try connection.execute("SAVEPOINT apus_create")
        try run(compiled)
        compiled.statement.reset()
        if let completed = try rules.completed(compiled.text.sql, creating: table) {
            try connection.execute("ROLLBACK TO apus_create")
            switch try compile(completed) {
            case .success(let statement): try run(statement)
            case .failure(let fault): return fault
            }
        }
        try connection.execute("RELEASE apus_create")
        return nil
    }

    private func schemaSizes() throws(SQLiteFailure) -> SchemaSizes {
        if let sizes { return sizes }
        let read = try SchemaSizes(connection)
        sizes = read
        return read
    }

    /// The statement from the cache, or newly compiled. What fails is the statement's fault.
    private func compile(_ text: RawText) throws(SQLiteFailure) -> Result<CompiledStatement, StatementFault> {
        if let known = cache.find(text) { return .success(known) }
        let policy = connection.policy
        let checked: StatementText
        let sizes = try schemaSizes()
        do throws(StatementFault) {
            checked = try StatementText(text, for: .statement)
            try checked.check(sizes)
        } catch {
            return .failure(error)
        }
        let statement: SQLiteStatement
        do throws(SQLiteFailure) {
            statement = try policy.with(.statement) { () throws(SQLiteFailure) in
                try connection.prepare(checked.sql.string, isPersistent: true)
            }
        } catch {
            guard error.isStatementFault else { throw error }
            return .failure(.refused(policy.findings.refusal ?? error.message))
        }
        let findings = policy.findings
        if findings.readsSchema, !findings.changesSchema {
            return .failure(.refused("the schema's tables may not be read"))
        }
        if findings.createdTable != nil, findings.selects {
            return .failure(.refused("CREATE TABLE AS is not allowed: its table has no primary key"))
        }
        let compiled: CompiledStatement
        do { compiled = try CompiledStatement(statement, checked, findings) } catch { return .failure(error) }
        if !findings.changesSchema { cache.insert(compiled, for: text) }
        return .success(compiled)
    }
}

/// What became of a transaction that was admitted.
private enum Outcome: Hashable {
    case done
    case failed(TransactionResult)
    /// Its statement ran into `ExecutionLimits.statementInstructions`.
    case overrun

    static func refused(_ code: TransactionCode, _ log: String) -> Outcome {
        .failed(TransactionResult(code, log: log))
    }

    func result(gas: Int64) -> TransactionResult {
        switch self {
        case .done:
            TransactionResult(.ok, gas: gas)
        case .failed(let result):
            TransactionResult(code: result.code, gas: gas, log: result.log)
        case .overrun:
            TransactionResult(
                .unknownError, gas: gas,
                log:
                    "the statement exceeded its budget of \(ExecutionLimits.statementInstructions) instructions"
            )
        }
    }
}
