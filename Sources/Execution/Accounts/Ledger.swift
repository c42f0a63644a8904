import Chain

/// The accounts during one block: the changes of its transactions, layered over committed state.
///
/// Deterministic and without I/O; the caller passes `read` to look up committed accounts. The texts of results are part
/// of the protocol, because the app hash covers them.
struct Ledger {
    private var changed: [AccountID: Account] = [:]
    private let parameters: NetworkParameters

    /// The outcome of checking a transaction's nonce and fee.
    enum Admission {
        /// The fee has been deducted; execute the transaction.
        case admitted(fee: Int64)
        /// The transaction ends with this result.
        case refused(TransactionResult)
    }

    init(parameters: NetworkParameters) {
        self.parameters = parameters
    }

    /// Returns the account after the transactions so far.
    func account<E: Error>(_ id: AccountID, _ read: (AccountID) throws(E) -> Account?) throws(E) -> Account {
        if let account = changed[id] { return account }
        return try read(id) ?? Account()
    }

    /// Checks the nonce, consumes it, and deducts the fee unless gas is free.
    ///
    /// The nonce is consumed even if the transaction then fails. The fee is what the transaction offers; it is credited
    /// to nobody, and not deducted if the balance does not cover it.
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
            } else if let rest = account.balance.subtracting(fee) {
                account.balance = rest
            } else {
                refusal = TransactionResult(.insufficientBalance, log: "the balance does not cover the fee")
            }
        }
        changed[id] = account
        if let refusal { return .refused(refusal) }
        return .admitted(fee: parameters.disabledGasCosts ? 0 : Int64(fee.description) ?? .max)
    }

    /// Moves an amount between accounts. Returns the result if that fails, nil if it succeeds.
    mutating func transfer<E: Error>(
        _ amount: Amount?, from: AccountID, to: AccountID, _ read: (AccountID) throws(E) -> Account?
    ) throws(E) -> TransactionResult? {
        guard let amount, !amount.isNegative else {
            return TransactionResult(.invalidAmount, log: "the amount is absent or negative")
        }
        var sender = try account(from, read)
        guard let rest = sender.balance.subtracting(amount) else {
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

    /// The accounts that the block changed, ordered by ID.
    var changes: [ExecutionResult.ChangedAccount] {
        changed.map { .init(id: $0.key, nonce: $0.value.nonce, balance: $0.value.balance) }
            .sorted { $0.id < $1.id }
    }
}
