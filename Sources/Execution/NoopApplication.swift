import Chain
import Crypto
import Synchronization

/// An application without effects, to measure everything else: accounts' nonces and balances are kept as everywhere,
/// payloads are not looked at, and the application hash is a chain over the transactions' IDs and results.
///
/// It keeps nothing on disk: at each start its tip is the genesis, and the node executes the blocks again from its
/// log.
public final class NoopApplication: Application {
    private let state = Mutex(State())

    private struct State {
        var tip: ApplicationTip?
        var accounts: [AccountID: Account] = [:]
        var prepared: (tip: ApplicationTip, accounts: [(id: AccountID, account: Account)])?
    }

    /// An application that awaits its genesis.
    public init() {}

    /// The last committed block; height 0 before `initialize`.
    public var tip: ApplicationTip { state.withLock { $0.tip } ?? ApplicationTip(height: 0, appHash: .zero) }

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
    public func execute(_ block: Block, transactions: [Transaction], parameters: NetworkParameters)
        throws(ExecutionError) -> ExecutionResult
    {
        try state.withLock { (state) throws(ExecutionError) in
            guard let tip = state.tip else { throw .notInitialized }
            guard state.prepared == nil else { throw .outOfOrder("a block is prepared already") }
            guard block.height == tip.height &+ 1 else {
                throw .outOfOrder("block \(block.height) does not follow height \(tip.height)")
            }
            var ledger = Ledger(parameters: parameters)
            var changes = SHA256()
            var results: [TransactionResult] = []
            results.reserveCapacity(transactions.count)
            for transaction in transactions {
                changes.update(transaction.id)
                guard let sender = transaction.account else {
                    results.append(TransactionResult(.invalidSignature, log: "unknown signature type"))
                    continue
                }
                switch ledger.admit(transaction, from: sender, { state.accounts[$0] }) {
                case .admitted(let fee): results.append(TransactionResult(.ok, gas: fee))
                case .refused(let result): results.append(result)
                }
            }
            let hash = ApplicationHash.next(after: tip.appHash, changes: changes.finalize(), results: results)
            state.prepared = (ApplicationTip(height: block.height, appHash: hash), ledger.changes)
            return ExecutionResult(
                appHash: hash, results: results, parameterUpdates: ParameterUpdates(), validatorUpdates: [],
                accounts: ledger.changedAccounts)
        }
    }

    /// See `Application.commit`.
    public func commit() throws(ExecutionError) {
        try state.withLock { (state) throws(ExecutionError) in
            guard let prepared = state.prepared else { throw .outOfOrder("no block is prepared") }
            state.tip = prepared.tip
            for (id, account) in prepared.accounts { state.accounts[id] = account }
            state.prepared = nil
        }
    }

    /// See `Application.rollback`.
    public func rollback() throws(ExecutionError) {
        state.withLock { $0.prepared = nil }
    }

    /// See `Application.account`.
    public func account(_ id: AccountID) throws(ExecutionError) -> Account? {
        state.withLock { $0.accounts[id] }
    }

    /// Refused: there is no database.
    public func query(_ sql: String, _ parameters: [String: Value], limits: QueryLimits)
        throws(ExecutionError)
        -> QueryResult
    {
        throw .noDatabase
    }
}
