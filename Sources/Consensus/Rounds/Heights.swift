/// What is known of heights above the tip, and whether the node is behind.
///
/// Headers do not name their chain, so an earlier one of the same leader and validators proves heights as this one does.
/// When nobody delivers what was proven, twice or more, proofs far above the tip count for nothing for longer and longer.
struct Heights: Sendable {
    /// The highest height of which it is proven that a block is committed; at least the tip's.
    private(set) var proven: Int64
    /// The height that catching up runs towards, which may be a mere claim; nil when it does not.
    private(set) var target: Int64?
    /// Whether the node is behind, by what is proven, and catches up.
    private(set) var isSyncing = false
    /// Until when it counts as that if nothing more is proven.
    private var levelAt: Duration = .zero
    /// When nothing above the tip was proven last.
    private var wasLevelAt: Duration
    /// A height far above the tip that was proven and is being caught up to.
    private var awaited: Int64?
    /// How often in a row nobody delivered such a height, and until when none is believed therefore.
    private(set) var undelivered = 0
    private var believesAt: Duration = .zero

    /// Nothing is known above the tip.
    init(tip: Int64, now: Duration) {
        proven = tip
        wasLevelAt = now
    }

    /// When the node counts as level if nothing more is proven.
    var deadline: Duration? { isSyncing ? levelAt : nil }

    /// Whether a proof far above the tip would prove anything new.
    func wouldProve(_ height: Int64, tip: Int64, now: Duration) -> Bool {
        height > tip &+ 2 && height > proven && now >= believesAt
    }

    /// A block of this height is committed: enough votes were seen, or what only follows them.
    mutating func prove(_ height: Int64, tip: Int64, now: Duration) {
        guard height > proven else { return }
        if height > tip &+ 2 {
            guard now >= believesAt else { return }
            awaited = height
        }
        proven = height
    }

    /// Catching up runs to this height at least: a greater one that another peer claimed must not hide what this one has.
    mutating func aim(at height: Int64) { target = max(target ?? height, height) }

    /// The block at the tip was committed.
    /// - Parameters:
    ///   - decided: the height above the tip of which a proof is here.
    ///   - hasNewRules: what former validators or a former leader have proved may be a lie of theirs.
    mutating func committed(tip: Int64, decided: Int64?, hasNewRules: Bool) {
        if hasNewRules { proven = decided ?? 0 }
        proven = max(proven, tip)
        if let height = awaited, tip >= height { (awaited, undelivered) = (nil, 0) }
        if let height = target, tip >= height { target = nil }
    }

    /// Catching up is over: what nobody could deliver is not waited for.
    mutating func endSync(tip: Int64, decided: Int64?, now: Duration) {
        target = nil
        if let height = awaited, height > tip {
            // Once may be a cut that has just healed.
            if undelivered > 0 { believesAt = now + Self.disbelief * (1 << (undelivered - 1)) }
            undelivered = min(undelivered + 1, 6)
        }
        awaited = nil
        proven = max(tip, decided ?? 0)
    }

    /// A node counts as catching up while blocks further above its tip than the next ones are proven, and for a short
    /// while after. Catching up may prove no more than two at a time: then it counts as that once it has not been level for
    /// as long. A busy node that follows is level between blocks, whatever is claimed meanwhile.
    mutating func judgeSyncing(tip: Int64, now: Duration) {
        let distance = proven &- tip
        if distance <= 0 { wasLevelAt = now }
        if distance > 2 || (distance == 2 && now >= wasLevelAt + Self.levelPatience) {
            levelAt = now + Self.levelPatience
        }
        isSyncing = target != nil && levelAt > now
    }

    /// How long proofs far above the tip are not believed after two that led to nothing; doubles each time.
    private static var disbelief: Duration { .seconds(60) }
    /// How long nothing two heights above the tip is proven before a node counts as level.
    private static var levelPatience: Duration { .seconds(5) }
}

/// What this node has announced to all. Of many blocks that are made up for, one in a while is: peers may wait at this node's
/// tip.
struct Announcing: Sendable {
    /// The newest height that was announced.
    private(set) var height: Int64
    private var at: Duration

    /// The tip counts as announced.
    init(tip: Int64, now: Duration) { (height, at) = (tip, now) }

    /// Whether a node that is behind announces another block.
    func isDue(_ now: Duration) -> Bool { now >= at + .seconds(5) }

    mutating func announced(_ height: Int64, _ now: Duration) { (self.height, at) = (height, now) }
}
