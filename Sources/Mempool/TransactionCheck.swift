import Bytes
import Chain
import Crypto

/// Checks a transaction's form, size, chain and signature, which needs no state. A check takes tens of microseconds,
/// so it belongs on a worker. Thread-safe.
public struct TransactionCheck: Sendable {
    /// The ID of the chain that a transaction must name.
    public let chainID: String
    /// The maximum size of a transaction, in bytes.
    public let maxBytes: Int

    /// Creates a check for a chain.
    public init(chainID: String, maxBytes: Int = MempoolLimits().transactionBytes) {
        self.chainID = chainID
        self.maxBytes = maxBytes
    }

    /// Decodes and checks one transaction, which keeps `bytes` alive: pass memory of its own size. `id` is their SHA-256, if
    /// that is known.
    public func check(_ bytes: SharedBytes, id: Hash? = nil) throws(MempoolError) -> Transaction {
        let transaction = try decode(bytes, id: id)
        try check(transaction)
        return transaction
    }

    /// Decodes one transaction, and checks nothing but its size. Takes microseconds.
    public func decode(_ bytes: SharedBytes, id: Hash? = nil) throws(MempoolError) -> Transaction {
        guard bytes.count <= maxBytes else { throw .tooLarge(count: bytes.count, limit: maxBytes) }
        do { return try Transaction(decoding: bytes, id: id) } catch { throw .refused(error) }
    }

    /// Checks a decoded transaction, cheap checks first.
    public func check(_ transaction: Transaction) throws(MempoolError) {
        let body = transaction.body
        guard RawText(body.chainID) == RawText(chainID) else { throw .refused(.wrongChain(body.chainID)) }
        guard body.fee?.isNegative != true else { throw .negativeFee }
        do { try transaction.verify() } catch { throw .refused(error) }
    }

    /// Checks many transactions in one visit to the worker. Returns one result each, in order.
    public func check(_ batch: [SharedBytes]) -> [Result<Transaction, MempoolError>] {
        batch.map { bytes in Result { () throws(MempoolError) in try check(bytes) } }
    }
}
