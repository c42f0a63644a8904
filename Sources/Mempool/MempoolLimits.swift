import Chain

/// The limits of the mempool and the intervals of its schedule.
public struct MempoolLimits: Sendable {
    /// The maximum size of all transactions together, in bytes.
    public var bytes = 200_000_000
    /// The maximum number of transactions.
    public var count = 50_000
    /// The maximum size of a transaction, in bytes. The chain's limit (`NetworkParameters.transactionLimit`) also
    /// applies.
    public var transactionBytes = ChainLimits.transactionBytes
    /// The maximum number of transactions of one sender, and the maximum distance of a nonce from the account's.
    public var perSender = 20_000
    /// The time after which an unconfirmed transaction is dropped, counted from its arrival here.
    public var lifetime = Duration.seconds(3600)
    /// The time between a transaction's first two announcements; doubles each time up to `lastInterval`.
    public var firstInterval = Duration.seconds(30)
    /// The maximum time between two announcements of a transaction.
    public var lastInterval = Duration.seconds(960)

    /// Creates the default limits.
    public init() {}
}
