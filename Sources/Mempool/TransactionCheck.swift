import Bytes
import Chain
import Crypto

/// The check of a transaction that needs no state: form, size, chain and signature. Takes some tens of
/// microseconds a transaction, so it belongs on a worker; may be used from any thread.
public struct TransactionCheck: Sendable {
    /// The chain that a transaction must name.
    public let chainID: String
    /// Bytes that it may have.
    public let maxBytes: Int

    /// A check for a chain.
    public init(chainID: String, maxBytes: Int = MempoolLimits().transactionBytes) {
        self.chainID = chainID
        self.maxBytes = maxBytes
    }

    /// Decodes and checks one transaction. It keeps `bytes` alive: give it memory of its own size. `id` is their SHA-256, if
    /// that is known.
    public func check(_ bytes: SharedBytes, id: Hash? = nil) throws(MempoolError) -> Transaction {
        guard bytes.count <= maxBytes else { throw .tooLarge(count: bytes.count, limit: maxBytes) }
        let transaction: Transaction
        do { transaction = try Transaction(decoding: bytes, id: id) } catch { throw .refused(error) }
        try check(transaction)
        return transaction
    }

    /// Checks a decoded transaction; what is cheap first.
    public func check(_ transaction: Transaction) throws(MempoolError) {
        let body = transaction.body
        guard RawText(body.chainID) == RawText(chainID) else { throw .refused(.wrongChain(body.chainID)) }
        guard body.fee?.isNegative != true else { throw .negativeFee }
        do { try transaction.verify() } catch { throw .refused(error) }
    }

    /// Checks many at once, so that the way to the worker and back is paid once. One result each, in order.
    public func check(_ batch: [SharedBytes]) -> [Result<Transaction, MempoolError>] {
        batch.map { bytes in
            do throws(MempoolError) { return .success(try check(bytes)) } catch { return .failure(error) }
        }
    }
}
