/// The proven and claimed heights above the tip, and whether the node is behind.
///
/// Headers do not name their chain, so blocks of an earlier chain with the same leader and validators also prove
/// heights here. When no peer delivers a proven height twice in a row, proofs far above the tip are ignored for a
/// while, longer each time.
struct Heights: Sendable {
    /// The highest height at which a block is proven to be committed; at least the tip.
    private(set) var proven: Int64
    /// The height to sync to, which may be a mere claim; nil while not syncing.
    private(set) var target: Int64?
    /// Whether the node is provably behind and syncing.
    private(set) var isSyncing = false
    /// When the node stops counting as syncing unless more is proven.
    private var levelAt: Duration = .zero
    /// The last time at which no height above the tip was proven.
    private var wasLevelAt: Duration
    /// A proven height far above the tip that the node is syncing to.
    private var awaited: Int64?
    /// How often in a row no peer delivered such a height.
    private(set) var undelivered = 0
    /// When further such heights are believed again.
    private var believesAt: Duration = .zero

    /// Creates the state of a node without knowledge above its tip.
    init(tip: Int64, now: Duration) {
        proven = tip
        wasLevelAt = now
    }

    /// When `isSyncing` ends unless more is proven.
    var deadline: Duration? { isSyncing ? levelAt : nil }

    /// Returns whether a proof far above the tip would prove a new height.
    func wouldProve(_ height: Int64, tip: Int64, now: Duration) -> Bool {
        height > tip &+ 2 && height > proven && now >= believesAt
    }

    /// Notes that a block of this height is proven to be committed.
    mutating func prove(_ height: Int64, tip: Int64, now: Duration) {
        guard height > proven else { return }
        if height > tip &+ 2 {
            guard now >= believesAt else { return }
            awaited = height
        }
        proven = height
    }

    /// Sets the sync target to this height, unless it is already higher.
    mutating func aim(at height: Int64) { target = max(target ?? height, height) }

    /// Notes that the block at `tip` was committed.
    /// - Parameters:
    ///   - decided: the height above the tip for which this node holds a commit.
    ///   - hasNewRules: whether validators, leader or parameters have changed, which voids earlier proofs, because
    ///     former validators may have lied.
    mutating func committed(tip: Int64, decided: Int64?, hasNewRules: Bool) {
        if hasNewRules { proven = decided ?? 0 }
        proven = max(proven, tip)
        if let height = awaited, tip >= height { (awaited, undelivered) = (nil, 0) }
        if let height = target, tip >= height { target = nil }
    }

    /// Ends syncing. The node no longer waits for heights that no peer could deliver.
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

    /// Updates `isSyncing`. A node counts as syncing while a height more than two above its tip is proven, and for a
    /// short time after. Syncing may prove only two heights at a time; then the node counts as syncing once it has
    /// not been level for that time. A busy node that follows the chain is level between blocks, whatever peers claim
    /// meanwhile.
    mutating func judgeSyncing(tip: Int64, now: Duration) {
        let distance = proven &- tip
        if distance <= 0 { wasLevelAt = now }
        if distance > 2 || (distance == 2 && now >= wasLevelAt + Self.levelPatience) {
            levelAt = now + Self.levelPatience
        }
        isSyncing = target != nil && levelAt > now
    }

    /// The time for which proofs far above the tip are ignored after two undelivered ones; doubles each time.
    private static var disbelief: Duration { .seconds(60) }
    /// The time for which a node counts as syncing after the last proof.
    private static var levelPatience: Duration { .seconds(5) }
}

/// This node's announcements to all peers. A node that is syncing announces a block now and then, because peers may
/// be waiting at its tip.
struct Announcing: Sendable {
    /// The highest announced height.
    private(set) var height: Int64
    private var at: Duration

    /// Treats the tip as announced.
    init(tip: Int64, now: Duration) { (height, at) = (tip, now) }

    /// Returns whether a syncing node should announce its newest block.
    func isDue(_ now: Duration) -> Bool { now >= at + .seconds(5) }

    mutating func announced(_ height: Int64, _ now: Duration) { (self.height, at) = (height, now) }
}
