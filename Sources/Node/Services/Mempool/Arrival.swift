import Bytes
import Chain
import Crypto
import Execution
import Mempool

extension MempoolService {
    /// A received transaction.
    struct Arrival: Sendable {
        let id: Hash
        /// Whether a client of this node sent it.
        let isOwn: Bool
        let bytes: SharedBytes

        /// Checks the transaction, unless there is a refusal already. Needs no state, so it runs on any worker.
        func checked(
            _ check: TransactionCheck, _ refusal: (Transaction) -> MempoolError?
        ) -> Result<Transaction, MempoolError> {
            Result { () throws(MempoolError) in
                let transaction = try check.decode(bytes, id: id)
                if let refusal = refusal(transaction) { throw refusal }
                try check.check(transaction)
                return transaction
            }
        }

        /// Returns the result of the transaction's check with the account that it spends from, which may be read from disk:
        /// called where the mempool runs.
        func with(
            _ check: Result<Transaction, MempoolError>, from application: any Application
        ) -> CheckedTransaction {
            guard case .success(let transaction) = check else {
                return CheckedTransaction(id, isOwn: isOwn, check)
            }
            let account = transaction.account.flatMap { (try? application.account($0)) ?? nil } ?? Account()
            return CheckedTransaction(
                id, isOwn: isOwn, check, nonce: account.nonce, balance: account.balance)
        }
    }
}

extension MempoolLimits {
    /// The limits that the operator has set.
    init(_ configuration: Configuration.Mempool) {
        self.init()
        bytes = configuration.maxSize
        count = configuration.maxTransactions
        perSender = configuration.maxPerSender
        lifetime = configuration.maxAge
        firstInterval = configuration.reannounceInterval
    }
}
