/// Decides whether a node is so far behind that it ignores unconfirmed transactions.
///
/// Syncing is not enough: a peer may claim a height that does not exist, and must not thereby keep transactions from
/// the node. So blocks must arrive, and they must be old.
struct FarBehind {
    /// The age below which a block counts as current, in ms.
    static let freshness: UInt64 = 30_000
    /// The time without a block after which claims of a higher tip are not believed.
    static let patience = Duration.seconds(30)

    private var isSyncing = false
    /// Whether the newest block received while syncing is old; false before the first.
    private var isOld = false
    private var progress = Duration.zero

    /// Notes that the node starts (true) or stops syncing.
    mutating func syncing(_ flag: Bool, now: Duration) {
        isSyncing = flag
        isOld = false
        progress = now
    }

    /// Notes a committed block by its time; times in ms since 1970.
    mutating func committed(timestamp: UInt64, wallClock: UInt64, now: Duration) {
        isOld = wallClock >= timestamp && wallClock - timestamp >= Self.freshness
        progress = now
    }

    /// Returns whether to ignore transactions.
    func isFar(now: Duration) -> Bool { isSyncing && isOld && now - progress < Self.patience }

    /// When `isFar` becomes false if no block comes; nil for never.
    var deadline: Duration? { isSyncing && isOld ? progress + Self.patience : nil }
}
