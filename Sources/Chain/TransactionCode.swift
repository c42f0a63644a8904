/// Result codes of transactions, numbered as kwil-db numbers them.
public enum TransactionCode: UInt32, Sendable, CustomStringConvertible {
    /// Executed.
    case ok = 0
    /// The bytes or the payload cannot be decoded.
    case encodingError = 1
    /// The payload type is unknown or not served by this application.
    case invalidTransactionType = 2
    /// The signature does not verify.
    case invalidSignature = 3
    /// The nonce is not the account's nonce plus one.
    case invalidNonce = 4
    /// Signed for another chain.
    case wrongChain = 5
    /// The balance does not cover fee or transfer.
    case insufficientBalance = 6
    /// The fee is below the price.
    case insufficientFee = 7
    /// An amount is negative or absent.
    case invalidAmount = 8
    /// The sender may not do this.
    case invalidSender = 9
    /// Not in a block within the time that the caller waits.
    case timeout = 10
    /// The mempool has no room.
    case mempoolFull = 11
    /// The statement does not fit the schema.
    case invalidSchema = 100
    /// The resolution's type is unknown.
    case invalidResolutionType = 130
    /// Not allowed while the network migrates.
    case networkInMigration = 200
    /// The network has been moved and is halted.
    case networkHalted = 201
    /// Anything else: the log says what.
    case unknownError = 65535

    /// Words for logs and replies.
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
