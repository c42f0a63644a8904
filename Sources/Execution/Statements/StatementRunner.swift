import Bytes
import CShims
import Chain

/// Runs the statements of a block's transactions: checks and compiles them, counts their cost, and undoes those that
/// fail (docs/execution.md, "Statements").
///
/// Not thread-safe: one thread at a time. The texts of results are part of the protocol, because the app hash covers
/// them.
final class StatementRunner {
    /// Records the block's changes.
    let recorder: ChangeRecorder
    private let connection: SQLiteConnection
    private let meter: CostMeter
    private let stopFlag: StopFlag
    private let rules: TableRules
    private var cache = StatementCache()
    /// The sizes of the current schema; nil if it has not been read.
    private var sizes: SchemaSizes?
    /// The block's cost so far, in units.
    private(set) var used = 0
    /// Whether a statement that changes the schema has run, even if it failed. The caller resets it with each transaction.
    var hasChangedSchema = false

    /// Creates a runner of statements on a connection, which raising `stopFlag` stops.
    init(_ connection: SQLiteConnection, _ stopFlag: StopFlag) throws(SQLiteFailure) {
        self.connection = connection
        self.stopFlag = stopFlag
        meter = CostMeter(stopFlag)
        rules = TableRules(connection: connection)
        meter.attach(to: connection)
        recorder = ChangeRecorder(connection, meter)
        try CountFunction.register(connection)
        try BoundedFunctions.register(on: connection, meter)
        // A connection's first ALTER TABLE opens its database of temporary tables. From then on an IF EXISTS that finds
        // nothing takes one instruction more, to look there too. Opening it here makes all connections alike.
        _ = try connection.prepare("SELECT 1 FROM sqlite_temp_schema")
    }

    /// Starts a block.
    func begin() {
        used = 0
        recorder.begin()
    }

    /// Charges the block.
    func charge(_ units: Int) { used += units }

    /// Discards everything compiled or read from the schema, which may not hold once a block is undone.
    func forget() {
        cache.removeAll()
        sizes = nil
    }

    /// Runs a transaction's statement; only the owner's may change the schema and the grants. `writesGrants` reports
    /// whether the statement may have changed the grants. After an overrun SQLite may have undone the whole block, and
    /// no transaction is open.
    func run(
        _ raw: RawStatement, isOwner: Bool, _ control: ControlStatements
    ) throws(SQLiteFailure) -> (outcome: Outcome, writesGrants: Bool) {
        let compiled: CompiledStatement
        switch try compile(raw.sql) {
        case .success(let statement): compiled = statement
        case .failure(let fault): return (.refused(.unknownError, fault.text), false)
        }
        let findings = compiled.findings
        if !isOwner, findings.changesSchema || findings.writesGrants {
            let what = findings.writesGrants ? "write to \(StatementPolicy.grantsTable)" : "change the schema"
            return (.refused(.invalidSender, "only the database's owner may \(what)"), false)
        }
        defer { compiled.statement.reset() }
        let bytes: Int
        do throws(SQLiteFailure) {
            switch try compiled.parameters.bind(raw.parameters, to: compiled.statement) {
            case .success(let bound): bytes = bound
            case .failure(let fault): return (.refused(.unknownError, fault.text), false)
            }
        } catch {
            guard error.isStatementFault else { throw error }
            return (.refused(.unknownError, error.message), false)
        }
        // The statement's budget also pays for compiling and binding.
        let prepared = compiled.size.cost + bytes / CostModel.parameterBytes.value
        meter.start(max(CostModel.statement.value - prepared, 0))
        charge(bytes / CostModel.parameterBytes.value)
        defer { charge(meter.used) }
        let outcome =
            findings.changesSchema
            ? try changeSchema(compiled, bytes, control) : try changeRows(compiled, bytes, control)
        return (outcome, findings.writesGrants)
    }

    // MARK: Running

    private func changeRows(
        _ compiled: CompiledStatement, _ bytes: Int, _ control: ControlStatements
    ) throws(SQLiteFailure) -> Outcome {
        recorder.beginStatement(try schemaSizes())
        let outcome = try atomically(control) { () throws(SQLiteFailure) in
            try run(compiled, widths(compiled, atLeast: bytes), control)
            return nil
        }
        if outcome == .done { try recorder.endStatement() } else { try recorder.abandonStatement() }
        return outcome
    }

    private func widths(_ compiled: CompiledStatement, atLeast bytes: Int) -> ArraySlice<CostModel.Width> {
        CostModel.widths(from: max(compiled.text.widestToken, bytes), tokens: compiled.size.tokens)
    }

    /// Runs a compiled statement to completion, within the budget, at the first width that suffices. The policy has
    /// checked the statement and trusts what SQLite itself prepares while it runs.
    private func run(
        _ compiled: CompiledStatement, _ widths: ArraySlice<CostModel.Width>, _ control: ControlStatements
    ) throws(SQLiteFailure) {
        for width in widths.dropLast() {
            do throws(SQLiteFailure) {
                return try run(compiled, at: width)
            } catch {
                guard error.primaryCode == SQLITE_TOOBIG, !meter.isSpent else { throw error }
            }
            compiled.statement.rewind()
            try control.rollbackToSavepoint.run()
            recorder.restartStatement()
        }
        if let width = widths.last { try run(compiled, at: width) }
    }

    private func run(_ compiled: CompiledStatement, at width: CostModel.Width) throws(SQLiteFailure) {
        compiled.statement.takeInstructionCount()
        meter.run(at: width)
        defer { meter.stop(steps: compiled.statement.takeInstructionCount()) }
        while try compiled.statement.step() {}
    }

    /// Runs `body` in a savepoint, which is undone if `body` throws or returns a fault of the statement.
    private func atomically(
        _ control: ControlStatements, _ body: () throws(SQLiteFailure) -> StatementFault?
    ) throws(SQLiteFailure) -> Outcome {
        try control.savepoint.run()
        var outcome = Outcome.done
        do throws(SQLiteFailure) {
            if let fault = try body() {
                outcome = .refused(.unknownError, fault.text)
            } else if meter.isSpent {
                outcome = .overrun
            } else if connection.hasDeferredViolations {
                outcome = .refused(.unknownError, "FOREIGN KEY constraint failed")
            }
        } catch {
            // The failure may be due to the stop, so it is not a result.
            if stopFlag.isRaised {
                throw SQLiteFailure(code: SQLITE_INTERRUPT, message: "stopped", file: connection.path)
            }
            // A spent budget can make a statement fail in many ways.
            if meter.isSpent, error.isInterrupt || error.isStatementFault {
                outcome = .overrun
                // Interrupting a statement that writes makes SQLite roll back the transaction.
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

    // MARK: The schema

    private func changeSchema(
        _ compiled: CompiledStatement, _ bytes: Int, _ control: ControlStatements
    ) throws(SQLiteFailure) -> Outcome {
        hasChangedSchema = true
        // SQLite reads the texts of tables and views while it runs a schema change.
        let sizes = try schemaSizes()
        let texts = sizes.longestText + compiled.text.sql.utf8.count
        let widths = widths(compiled, atLeast: max(bytes, texts))
        var changed: SchemaSizes?
        recorder.beginStatement(sizes)
        let outcome = try atomically(control) { () throws(SQLiteFailure) in
            if let table = compiled.findings.createdTable {
                if let fault = try create(table, compiled, widths, control) { return fault }
            } else {
                if let table = compiled.findings.droppedTable { try empty(table, widths, control) }
                try run(compiled, widths, control)
            }
            let sizes = try SchemaSizes(connection)
            changed = sizes
            return try rules.violation(sizes)
        }
        forget()
        if outcome == .done {
            self.sizes = changed
            try recorder.endStatement(schemaChange: compiled.text.sql)
        } else {
            try recorder.abandonStatement()
        }
        return outcome
    }

    private func create(
        _ table: RawText, _ compiled: CompiledStatement, _ widths: ArraySlice<CostModel.Width>,
        _ control: ControlStatements
    ) throws(SQLiteFailure) -> StatementFault? {
        let exists = try rules.exists(table)
        try run(compiled, widths, control)
        if exists { return nil }
        compiled.statement.reset()
        guard let completed = try rules.completed(compiled.text.sql, creating: table) else { return nil }
        try control.rollbackToSavepoint.run()
        switch try compile(completed) {
        case .success(let statement): try run(statement, widths, control)
        case .failure(let fault): return fault
        }
        return nil
    }

    /// Deletes the rows of a table before it is dropped, because SQLite drops any number of rows in one instruction.
    private func empty(
        _ table: RawText, _ widths: ArraySlice<CostModel.Width>, _ control: ControlStatements
    ) throws(SQLiteFailure) {
        guard case .success(let delete) = try compile("DELETE FROM \(TableRules.quoted(table))") else {
            return
        }
        defer { delete.statement.reset() }
        try run(delete, widths, control)
    }

    // MARK: Compiling

    private func schemaSizes() throws(SQLiteFailure) -> SchemaSizes {
        if let sizes { return sizes }
        let read = try SchemaSizes(connection)
        sizes = read
        return read
    }

    /// Returns the statement from the cache or compiles it, at the same cost. A failure is the fault of the statement.
    private func compile(_ text: RawText) throws(SQLiteFailure) -> Result<CompiledStatement, StatementFault> {
        if let known = cache.find(text) {
            charge(known.size.cost)
            return .success(known)
        }
        let checked: StatementText
        let size: ExpandedSize
        do throws(StatementFault) {
            checked = try StatementText(text, for: .statement)
        } catch {
            return .failure(error)
        }
        let sizes = try schemaSizes()
        do throws(StatementFault) {
            size = try checked.expandedSize(sizes)
        } catch {
            charge(ExpandedSize.tooLarge.cost)
            return .failure(error)
        }
        charge(size.cost)
        let policy = connection.policy
        let statement: SQLiteStatement
        do throws(SQLiteFailure) {
            statement = try policy.with(.statement) { () throws(SQLiteFailure) in
                try connection.prepare(checked.sql.string, isPersistent: true)
            }
        } catch {
            guard error.isStatementFault else { throw error }
            return .failure(StatementFault(policy.findings.refusal ?? error.message))
        }
        let adopted = adopt(statement, checked, policy.findings, size)
        if case .success(let compiled) = adopted, !compiled.findings.changesSchema {
            cache.insert(compiled, for: text)
        }
        return adopted
    }

    /// Accepts a statement that SQLite has compiled, unless the policy's findings forbid it.
    private func adopt(
        _ statement: SQLiteStatement, _ text: StatementText, _ findings: StatementPolicy.Findings,
        _ size: ExpandedSize
    ) -> Result<CompiledStatement, StatementFault> {
        if findings.readsSchema, !findings.changesSchema {
            return .failure(StatementFault("the schema's tables may not be read"))
        }
        if findings.createdTable != nil, findings.selects {
            return .failure(StatementFault("CREATE TABLE AS is not allowed: its table has no primary key"))
        }
        do {
            return .success(try CompiledStatement(statement, text, findings, size))
        } catch {
            return .failure(error)
        }
    }
}

/// The outcome of an admitted transaction.
enum Outcome: Hashable {
    case done
    case failed(TransactionResult)
    /// The statement exceeded `CostModel.statement`.
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
                log: "the statement costs more than its budget of \(CostModel.statement.value) units")
        }
    }
}
