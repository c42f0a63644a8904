import Chain
import Crypto
import Synchronization

/// An application without effects, for measuring the rest of the node. It keeps nonces and balances like any other but
/// ignores all payloads except those of validators; its app hash covers the IDs and results of transactions.
///
/// It keeps nothing on disk: at each start its tip is the genesis, and the node executes all blocks again from its log.
public final class NoopApplication: Application {
    private let state = Mutex(State())
    private let stopFlag = StopFlag()

    private struct State {
        var tip: ApplicationTip?
        var accounts: [AccountID: Account] = [:]
        var requests = ValidatorRequests()
        /// The prepared blocks, in order.
        var prepared: [PreparedBlock] = []
        /// The accounts that they change.
        var changed: [AccountID: Account] = [:]

        mutating func forgetPrepared() { (prepared, changed) = ([], [:]) }
    }

    /// Creates an application that awaits its genesis.
    public init() {}

    /// The last committed block; height 0 before `initialize`.
    public var tip: ApplicationTip { state.withLock { $0.tip } ?? ApplicationTip(height: 0, appHash: .zero) }

    /// `Int64.min`, because nothing is on disk.
    public var durableHeight: Int64 { .min }

    /// See `Application.initialize`.
    public func initialize(_ genesis: Genesis) throws(ExecutionError) {
        state.withLock {
            guard $0.tip == nil else { return }
            $0.tip = ApplicationTip(height: genesis.initialHeight, appHash: .zero)
            for allocation in genesis.allocations {
                $0.accounts[allocation.account] = Account(balance: allocation.amount)
            }
        }
    }

    /// See `Application.execute`.
    public func execute(
        _ block: Block, transactions: [Transaction], parameters: NetworkParameters, validators: ValidatorSet
    ) throws(ExecutionError) -> ExecutionResult {
        defer { stopFlag.lower() }
        if stopFlag.isRaised {
            state.withLock { $0.forgetPrepared() }
            throw .stopped
        }
        return try state.withLock { (state) throws(ExecutionError) in
            guard let tip = state.prepared.last?.tip ?? state.tip else { throw .notInitialized }
            try tip.check(block)
            var ledger = Ledger(parameters: parameters)
            var rules = ValidatorRules(
                state.prepared.last?.requests ?? state.requests, block, validators, parameters)
            var changes = SHA256()
            var results: [TransactionResult] = []
            results.reserveCapacity(transactions.count)
            for transaction in transactions {
                changes.update(transaction.id)
                guard let sender = transaction.account else {
                    results.append(TransactionResult(.invalidSignature, log: "unknown signature type"))
                    continue
                }
                switch ledger.admit(transaction, from: sender, { state.changed[$0] ?? state.accounts[$0] }) {
                case .admitted(let fee):
                    let failure = Self.perform(transaction, sender, &rules)
                    results.append(
                        TransactionResult(
                            code: failure?.code ?? TransactionCode.ok.rawValue, gas: fee,
                            log: failure?.log ?? ""))
                case .refused(let result): results.append(result)
                }
            }
            let updates = rules.finish()
            for validator in updates { changes.update(validator.bytes) }
            let hash = ApplicationHash.next(after: tip.appHash, changes: changes.finalize(), results: results)
            let result = ExecutionResult(
                appHash: hash, results: results, parameterUpdates: ParameterUpdates(),
                validatorUpdates: updates, accounts: ledger.changes)
            state.prepared.append(
                PreparedBlock(height: block.height, result: result, requests: rules.requests))
            for change in result.accounts { state.changed[change.id] = change.account }
            return result
        }
    }

    /// Executes an admitted transaction. Returns the result if it fails, nil if it succeeds.
    private static func perform(
        _ transaction: Transaction, _ sender: AccountID, _ rules: inout ValidatorRules
    ) -> TransactionResult? {
        guard transaction.body.payloadType.hasPrefix("validator_") else { return nil }
        guard let payload = try? Payload(of: transaction.body) else {
            return TransactionResult(.encodingError, log: "the payload cannot be decoded")
        }
        if case .other = payload { return nil }
        return rules.perform(payload, by: sender)
    }

    /// See `Application.stop`.
    public func stop() { stopFlag.raise() }

    /// See `Application.commit`.
    public func commit() throws(ExecutionError) {
        try state.withLock { (state) throws(ExecutionError) in
            guard let last = state.prepared.last else { throw .outOfOrder("no block is prepared") }
            state.tip = last.tip
            state.accounts.merge(state.changed) { $1 }
            state.requests = last.requests
            state.forgetPrepared()
        }
    }

    /// See `Application.rollback`.
    public func rollback() throws(ExecutionError) {
        state.withLock { $0.forgetPrepared() }
    }

    /// See `Application.account`.
    public func account(_ id: AccountID) throws(ExecutionError) -> Account? {
        state.withLock { $0.accounts[id] }
    }

    /// See `Application.validatorRequests`.
    public func validatorRequests() throws(ExecutionError) -> [ValidatorRequest] {
        state.withLock { Array($0.requests.values) }
    }

    /// Throws `noDatabase`.
    public func query(_ sql: String, _ parameters: [RawStatement.Parameter], limits: QueryLimits)
        throws(ExecutionError) -> QueryResult
    { throw .noDatabase }

    /// See `Application.close`. There are no files.
    public func close() { state.withLock { $0.forgetPrepared() } }
}
