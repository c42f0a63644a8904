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

        /// Checks the transaction, unless there is a refusal already, and looks up the account that it spends from. Called on
        /// a worker.
        func checked(
            _ check: TransactionCheck, _ application: any Application,
            _ refusal: (Transaction) -> MempoolError?
        ) -> CheckedTransaction {
            do throws(MempoolError) {
                let transaction = try check.decode(bytes, id: id)
                if let refusal = refusal(transaction) { throw refusal }
                try check.check(transaction)
                let account =
                    transaction.account.flatMap { (try? application.account($0)) ?? nil } ?? Account()
                return CheckedTransaction(
                    id, isOwn: isOwn, .success(transaction), nonce: account.nonce, balance: account.balance)
            } catch {
                return CheckedTransaction(id, isOwn: isOwn, .failure(error))
            }
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
