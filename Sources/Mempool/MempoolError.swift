import Chain

/// The reason that the mempool refuses a transaction.
public enum MempoolError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The transaction is already in the mempool or on the chain.
    case duplicate
    /// The transaction is malformed, unsigned, wrongly signed or for another chain.
    case refused(ChainError)
    /// The transaction exceeds the maximum size.
    case tooLarge(count: Int, limit: Int)
    /// The fee is negative.
    case negativeFee
    /// The account cannot pay the fee.
    case insufficientBalance
    /// The account has used the nonce.
    case nonceTooLow(expected: UInt64)
    /// The nonce is too far ahead of the account's.
    case nonceTooHigh(limit: UInt64)
    /// Another transaction with this nonce is in the mempool; it is not replaced.
    case nonceTaken
    /// The sender has the maximum number of transactions in the mempool.
    case senderFull(limit: Int)
    /// The mempool is full, and no transaction yields to this one.
    case full
    /// The mempool is full and keeps no transaction whose predecessors are missing.
    case fullForGapped

    /// The code returned to RPC clients.
    public var code: TransactionCode {
        switch self {
        case .duplicate, .tooLarge: .unknownError
        case .refused(.malformed): .encodingError
        case .refused(.wrongChain): .wrongChain
        case .refused: .invalidSignature
        case .negativeFee: .invalidAmount
        case .insufficientBalance: .insufficientBalance
        case .nonceTooLow, .nonceTooHigh, .nonceTaken: .invalidNonce
        case .senderFull, .full, .fullForGapped: .mempoolFull
        }
    }

    /// A one-line description for logs and replies.
    public var description: String {
        switch self {
        case .duplicate: "transaction already exists"
        case .refused(let error): "\(error)"
        case .tooLarge(let count, let limit): "transaction of \(count) bytes exceeds \(limit)"
        case .negativeFee: "negative fee"
        case .insufficientBalance: "the balance does not cover the fee"
        case .nonceTooLow(let expected): "invalid nonce: used already, the next is \(expected)"
        case .nonceTooHigh(let limit): "invalid nonce: beyond \(limit), the highest that is kept now"
        case .nonceTaken: "invalid nonce: another transaction with it waits"
        case .senderFull(let limit): "mempool has \(limit) transactions of this sender"
        case .full: "mempool is full; retry after the next block"
        case .fullForGapped:
            "mempool is full, and transactions with lower nonces are missing; send those first"
        }
    }
}
