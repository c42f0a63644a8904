import Chain

/// Bounds of the mempool and the times of its schedule.
public struct MempoolLimits: Sendable {
    /// Bytes of all transactions together.
    public var bytes = 200_000_000
    /// Transactions.
    public var count = 50_000
    /// Bytes of one transaction; what the chain allows (`NetworkParameters.transactionLimit`) is checked besides.
    public var transactionBytes = ChainLimits.transactionBytes
    /// Transactions of one sender, and how far a nonce may lie ahead of the account's.
    public var perSender = 20_000
    /// How long a transaction may wait to be mined. Other nodes' clocks play no part: each counts from arrival.
    public var lifetime = Duration.seconds(3600)
    /// Between a transaction's announcements: the first interval, doubled each time up to the last.
    public var firstInterval = Duration.seconds(30)
    /// The longest time between two announcements of a transaction.
    public var lastInterval = Duration.seconds(960)

    /// The defaults.
    public init() {}
}
