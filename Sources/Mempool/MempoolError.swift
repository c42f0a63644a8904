import Chain

/// Why a transaction is not kept.
public enum MempoolError: Error, Hashable, Sendable, CustomStringConvertible {
    /// It is kept already.
    case duplicate
    /// Not a transaction, unsigned, wrongly signed or for another chain.
    case refused(ChainError)
    /// More bytes than one transaction may have.
    case tooLarge(count: Int, limit: Int)
    /// The fee is negative.
    case negativeFee
    /// The account cannot pay the fee.
    case insufficientBalance
    /// The account has used the nonce.
    case nonceTooLow(expected: UInt64)
    /// The nonce is further ahead of the account's than is kept.
    case nonceTooHigh(limit: UInt64)
    /// Another transaction with this nonce waits; it is not replaced.
    case nonceTaken
    /// The sender has as many transactions waiting as it may.
    case senderFull(limit: Int)
    /// No room, and nothing that yields.
    case full

    /// The code that an RPC client gets.
    public var code: TransactionCode {
        switch self {
        case .duplicate, .tooLarge: .unknownError
        case .refused(.malformed): .encodingError
        case .refused(.wrongChain): .wrongChain
        case .refused: .invalidSignature
        case .negativeFee: .invalidAmount
        case .insufficientBalance: .insufficientBalance
        case .nonceTooLow, .nonceTooHigh, .nonceTaken: .invalidNonce
        case .senderFull, .full: .mempoolFull
        }
    }

    /// One line for logs and replies.
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
        case .full: "mempool is full"
        }
    }
}
