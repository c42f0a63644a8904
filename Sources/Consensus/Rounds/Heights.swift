/// What is known about heights above the tip, and whether the node is behind.
///
/// Headers do not name their chain, so blocks of an earlier chain with the same leader and validators prove heights here, too.
/// When nobody delivers a proven height twice in a row, proofs far above the tip count for nothing for a while, longer each
/// time.
struct Heights: Sendable {
    /// The highest height at which a block is proven to be committed; at least the tip.
    private(set) var proven: Int64
    /// The height to sync to, which may be a mere claim; nil while not syncing.
    private(set) var target: Int64?
    /// Whether the node is provably behind and syncing.
    private(set) var isSyncing = false
    /// When the node stops counting as syncing unless more is proven.
    private var levelAt: Duration = .zero
    /// The last time at which nothing above the tip was proven.
    private var wasLevelAt: Duration
    /// A proven height far above the tip that the node is syncing to.
    private var awaited: Int64?
    /// How often in a row nobody delivered such a height, and until when no further one is believed.
    private(set) var undelivered = 0
    private var believesAt: Duration = .zero

    /// A node that knows nothing above its tip.
    init(tip: Int64, now: Duration) {
        proven = tip
        wasLevelAt = now
    }

    /// When `isSyncing` ends unless more is proven.
    var deadline: Duration? { isSyncing ? levelAt : nil }

    /// Whether a proof far above the tip would prove a new height.
    func wouldProve(_ height: Int64, tip: Int64, now: Duration) -> Bool {
        height > tip &+ 2 && height > proven && now >= believesAt
    }

    /// A block of this height is proven to be committed.
    mutating func prove(_ height: Int64, tip: Int64, now: Duration) {
        guard height > proven else { return }
        if height > tip &+ 2 {
            guard now >= believesAt else { return }
            awaited = height
        }
        proven = height
    }

    /// Syncs to this height or a higher one that another peer has told.
    mutating func aim(at height: Int64) { target = max(target ?? height, height) }

    /// The block at `tip` was committed.
    /// - Parameters:
    ///   - decided: the height above the tip of which this node holds a proof.
    ///   - hasNewRules: whether validators, leader or parameters have changed: then earlier proofs count for nothing, because
    ///     former validators may have lied.
    mutating func committed(tip: Int64, decided: Int64?, hasNewRules: Bool) {
        if hasNewRules { proven = decided ?? 0 }
        proven = max(proven, tip)
        if let height = awaited, tip >= height { (awaited, undelivered) = (nil, 0) }
        if let height = target, tip >= height { target = nil }
    }

    /// Syncing is over. The node does not wait for what nobody could deliver.
    mutating func endSync(tip: Int64, decided: Int64?, now: Duration) {
        target = nil
        if let height = awaited, height > tip {
            // A first time may be a network cut that has just healed.
            if undelivered > 0 { believesAt = now + Self.disbelief * (1 << (undelivered - 1)) }
            undelivered = min(undelivered + 1, 6)
        }
        awaited = nil
        proven = max(tip, decided ?? 0)
    }

    /// A node counts as syncing while a height more than two above its tip is proven, and for a short time after. Syncing may
    /// prove no more than two heights at a time: then the node counts as syncing once it has not been level for that time.
    /// A busy node that follows the chain is level between blocks, whatever peers claim meanwhile.
    mutating func judgeSyncing(tip: Int64, now: Duration) {
        let distance = proven &- tip
        if distance <= 0 { wasLevelAt = now }
        if distance > 2 || (distance == 2 && now >= wasLevelAt + Self.levelPatience) {
            levelAt = now + Self.levelPatience
        }
        isSyncing = target != nil && levelAt > now
    }

    /// How long proofs far above the tip count for nothing after two that led to nothing; doubles each time.
    private static var disbelief: Duration { .seconds(60) }
    /// How long a node counts as syncing after the last proof.
    private static var levelPatience: Duration { .seconds(5) }
}

/// What this node has announced to all peers. A node that is syncing announces a block now and then, because peers may be
/// waiting at its tip.
struct Announcing: Sendable {
    /// The highest announced height.
    private(set) var height: Int64
    private var at: Duration

    /// Takes the tip as announced.
    init(tip: Int64, now: Duration) { (height, at) = (tip, now) }

    /// Whether a syncing node should announce its newest block.
    func isDue(_ now: Duration) -> Bool { now >= at + .seconds(5) }

    mutating func announced(_ height: Int64, _ now: Duration) { (self.height, at) = (height, now) }
}
