import Chain

/// The accounts during one block: what transactions change lies over what is committed, until the block's end.
///
/// Pure: committed accounts come in through `read`.
struct Ledger {
    private var changed: [AccountID: Account] = [:]
    private let parameters: NetworkParameters

    /// What became of a transaction's nonce and fee.
    enum Admission {
        /// Go on and execute; the fee has been taken.
        case admitted(fee: Int64)
        /// It ends here with this result.
        case refused(TransactionResult)
    }

    init(parameters: NetworkParameters) {
        self.parameters = parameters
    }

    /// The account as the block's transactions so far have left it.
    func account<E: Error>(_ id: AccountID, _ read: (AccountID) throws(E) -> Account?) throws(E) -> Account {
        if let account = changed[id] { return account }
        return try read(id) ?? Account()
    }

    /// Checks the nonce, which is then used up whatever comes after, and takes the fee unless gas is free.
    ///
    /// The fee that a transaction offers is its price; it goes to nobody. One that the balance does not cover
    /// is not taken.
    mutating func admit<E: Error>(
        _ transaction: Transaction, from id: AccountID, _ read: (AccountID) throws(E) -> Account?
    ) throws(E) -> Admission {
        var account = try account(id, read)
        let (expected, overflow) = account.nonce.addingReportingOverflow(1)
        guard !overflow, transaction.body.nonce == expected else {
            return .refused(
                TransactionResult(
                    .invalidNonce, log: "nonce \(transaction.body.nonce) where \(expected) is due"))
        }
        account.nonce = expected
        var refusal: TransactionResult?
        let fee = transaction.body.fee ?? .zero
        if !parameters.disabledGasCosts, !fee.isZero {
            if fee.isNegative {
                refusal = TransactionResult(.invalidAmount, log: "the fee is negative")
            } else if let rest = try? account.balance.subtracting(fee) {
                account.balance = rest
            } else {
                refusal = TransactionResult(.insufficientBalance, log: "the balance does not cover the fee")
            }
        }
        changed[id] = account
        if let refusal { return .refused(refusal) }
        return .admitted(fee: parameters.disabledGasCosts ? 0 : Int64(fee.description) ?? .max)
    }

    /// Moves an amount; the failure's result, or nil.
    mutating func transfer<E: Error>(
        _ amount: Amount?, from: AccountID, to: AccountID, _ read: (AccountID) throws(E) -> Account?
    ) throws(E) -> TransactionResult? {
        guard let amount, !amount.isNegative else {
            return TransactionResult(.invalidAmount, log: "the amount is absent or negative")
        }
        var sender = try account(from, read)
        guard let rest = try? sender.balance.subtracting(amount) else {
            return TransactionResult(.insufficientBalance, log: "the balance does not cover the amount")
        }
        if from == to { return nil }
        var receiver = try account(to, read)
        guard let sum = receiver.balance.adding(amount) else {
            return TransactionResult(.invalidAmount, log: "the receiver's balance would be too large")
        }
        sender.balance = rest
        receiver.balance = sum
        changed[from] = sender
        changed[to] = receiver
        return nil
    }

    /// The accounts that the block changed, by ID.
    var changes: [(id: AccountID, account: Account)] {
        changed.map { (id: $0.key, account: $0.value) }.sorted { $0.id < $1.id }
    }

    /// The changed accounts as an execution's result names them.
    var changedAccounts: [ExecutionResult.ChangedAccount] {
        changes.map {
            ExecutionResult.ChangedAccount(
                id: $0.id, nonce: $0.account.nonce, balance: $0.account.balance)
        }
    }
}
