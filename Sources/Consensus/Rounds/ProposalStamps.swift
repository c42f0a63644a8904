/// The stamps under which a leader proposes at one height. Each is newer than all before it, even after a restart,
/// whatever the clock does meanwhile (docs/consensus.md, "Time").
///
/// A reservation on disk bounds the stamps that may have been used. It reaches ahead, so that it is seldom written,
/// and ends with the height, so that stamps used up by a wrong clock do not outlive it.
struct ProposalStamps: Sendable {
    /// How far a reservation reaches beyond the stamp that needs it, ms.
    static let span: Int64 = 10_000
    /// The greatest stamp accepted from others: later than any clock, and so far below the last stamp that a liar
    /// cannot leave the leader without a newer one.
    static let greatestTold: Int64 = 1 << 61

    /// The newest stamp that was or may have been used at the current height; 0 for none.
    private(set) var last: Int64
    /// The highest stamp reserved on disk.
    private(set) var reserved: Int64
    /// Whether an earlier process may have proposed at this height, so that the reservation must not shrink.
    private var mayHaveForgotten = true

    /// Creates the stamps of a node that starts: all reserved ones may have been used.
    init(reserved: Int64, voted: Int64) {
        last = max(0, reserved, voted)
        self.reserved = reserved
    }

    /// Returns the next stamp, not earlier than the block's own time.
    func next(notBefore time: Int64) -> Int64 { max(time, last == .max ? .max : last + 1) }

    /// Returns the stamp up to which to reserve on disk before this one is used; nil if it may be used at once. Takes
    /// back a reservation that a wrong clock has left far ahead.
    func reservation(for stamp: Int64) -> Int64? {
        let (end, isTooHigh) = stamp.addingReportingOverflow(Self.span)
        let wanted = isTooHigh ? Int64.max : end
        if stamp > reserved || (!mayHaveForgotten && reserved > wanted) { return wanted }
        return nil
    }

    mutating func reserve(upTo stamp: Int64) { reserved = stamp }

    mutating func use(_ stamp: Int64) { last = max(last, stamp) }

    /// Notes a stamp under which a validator reports to have voted.
    mutating func told(_ stamp: Int64) { if stamp <= Self.greatestTold { use(stamp) } }

    /// Starts the next height, at which nothing has been proposed.
    mutating func beginHeight() {
        last = 0
        mayHaveForgotten = false
    }
}
