/// The stamps under which a leader proposes at one height: each newer than all before it, also across restarts and
/// whatever the clock does meanwhile (docs/consensus.md, "Time").
///
/// What may have been used is known by a reservation on disk. It reaches ahead, so that it is seldom written, and ends
/// with the height: what a wrong clock has used does not outlive that.
struct ProposalStamps: Sendable {
    /// How far a reservation reaches beyond the stamp that needs it: ten seconds' worth, ms.
    static let span: Int64 = 10_000
    /// The greatest stamp that is believed when somebody merely tells it: above any clock's, and far enough below the
    /// last one that a liar cannot leave the leader without a newer one.
    static let greatestTold: Int64 = 1 << 61

    /// The newest stamp that was used at the present height, or may have been; 0 for none.
    private(set) var last: Int64
    /// Stamps up to this one are reserved on disk.
    private(set) var reserved: Int64
    /// Whether an earlier life may have proposed at this height: then the reservation must not shrink.
    private var mayHaveForgotten = true

    /// What a node starts with: all that it had reserved may have been used.
    init(reserved: Int64, voted: Int64) {
        last = max(0, reserved, voted)
        self.reserved = reserved
    }

    /// The next stamp, not before the block's own time.
    func next(notBefore time: Int64) -> Int64 { max(time, last == .max ? .max : last + 1) }

    /// Up to which stamp must be reserved on disk before this one is used; nil if it may be used at once. A
    /// reservation that a wrong clock has left far ahead is taken back.
    func reservation(for stamp: Int64) -> Int64? {
        let (end, isTooHigh) = stamp.addingReportingOverflow(Self.span)
        let wanted = isTooHigh ? Int64.max : end
        if stamp > reserved || (!mayHaveForgotten && reserved > wanted) { return wanted }
        return nil
    }

    mutating func reserve(upTo stamp: Int64) { reserved = stamp }

    mutating func use(_ stamp: Int64) { last = max(last, stamp) }

    /// A validator says that it has voted under this stamp.
    mutating func told(_ stamp: Int64) { if stamp <= Self.greatestTold { use(stamp) } }

    /// The height is decided; nothing was proposed at the next one.
    mutating func beginHeight() {
        last = 0
        mayHaveForgotten = false
    }
}
