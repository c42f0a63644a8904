/// Result codes of transactions, with kwil-db's numbers.
public enum TransactionCode: UInt32, Sendable, CustomStringConvertible {
    /// The transaction was executed.
    case ok = 0
    /// The bytes or the payload cannot be decoded.
    case encodingError = 1
    /// The payload type is unknown, or this application does not support it.
    case invalidTransactionType = 2
    /// The signature does not verify.
    case invalidSignature = 3
    /// The nonce is not the account's nonce plus one.
    case invalidNonce = 4
    /// The transaction was signed for another chain.
    case wrongChain = 5
    /// The balance does not cover the fee or the transfer.
    case insufficientBalance = 6
    /// The fee is below the price.
    case insufficientFee = 7
    /// An amount is negative or absent.
    case invalidAmount = 8
    /// The sender may not do this.
    case invalidSender = 9
    /// The transaction was not in a block within the caller's time limit.
    case timeout = 10
    /// The mempool has no room.
    case mempoolFull = 11
    /// The statement does not fit the schema.
    case invalidSchema = 100
    /// The resolution's type is unknown.
    case invalidResolutionType = 130
    /// The transaction is not allowed while the network migrates.
    case networkInMigration = 200
    /// The network has migrated and is halted.
    case networkHalted = 201
    /// Any other error, described in the log.
    case unknownError = 65535

    /// The text for logs and replies.
    public var description: String {
        switch self {
        case .ok: "ok"
        case .encodingError: "encoding error"
        case .invalidTransactionType: "invalid transaction type"
        case .invalidSignature: "invalid signature"
        case .invalidNonce: "invalid nonce"
        case .wrongChain: "wrong chain"
        case .insufficientBalance: "insufficient balance"
        case .insufficientFee: "insufficient fee"
        case .invalidAmount: "invalid amount"
        case .invalidSender: "invalid sender"
        case .timeout: "timeout"
        case .mempoolFull: "mempool full"
        case .invalidSchema: "invalid schema"
        case .invalidResolutionType: "invalid resolution type"
        case .networkInMigration: "network in migration"
        case .networkHalted: "network halted"
        case .unknownError: "unknown error"
        }
    }
}
