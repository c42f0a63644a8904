/// Whether a node is so far behind that it leaves unconfirmed transactions alone.
///
/// That it catches up is not enough: any peer may claim a height that nobody has, and must not keep transactions from a
/// node by that. So blocks must come first, and they must be old.
struct FarBehind {
    /// A block younger than this is one of those being made now; in ms.
    static let freshness: UInt64 = 30_000
    /// Without a block for so long, what was claimed is not believed.
    static let patience = Duration.seconds(30)

    private var isSyncing = false
    /// Whether the newest block that came while the node catches up is old; false before the first.
    private var isOld = false
    private var progress = Duration.zero

    /// The node begins to catch up (true), or has done so.
    mutating func syncing(_ flag: Bool, now: Duration) {
        isSyncing = flag
        isOld = false
        progress = now
    }

    /// A block of this time was committed; times in ms since 1970.
    mutating func committed(timestamp: UInt64, wallClock: UInt64, now: Duration) {
        isOld = wallClock >= timestamp && wallClock - timestamp >= Self.freshness
        progress = now
    }

    /// Whether transactions are to be left alone.
    func isFar(now: Duration) -> Bool { isSyncing && isOld && now - progress < Self.patience }

    /// When that will change if no block comes; nil for never.
    var deadline: Duration? { isSyncing && isOld ? progress + Self.patience : nil }
}
