import CShims

/// Counts what the statement that runs costs, and stops it beyond its budget (docs/execution.md, "Costs").
///
/// A transaction's costs are counted in the units of `CostModel`: instructions of SQLite's virtual machine, which a
/// progress handler reports (https://sqlite.org/c3ref/progress_handler.html), and what functions and written rows
/// charge. On the same state and the same version of SQLite they are the same on every node; time is not.
///
/// One thread at a time, as its connection.
final class CostMeter {
    private var left = Int.max
    private var stride = 0
    private var deadline: ContinuousClock.Instant?
    private let stopFlag: StopFlag

    /// Stops what it watches when `stopFlag` is raised, too.
    init(_ stopFlag: StopFlag = StopFlag()) { self.stopFlag = stopFlag }

    /// Watches a connection, for as long as both live; looks once every `stride` instructions.
    func attach(to connection: SQLiteConnection, every stride: Int32) {
        self.stride = Int(stride)
        sqlite3_progress_handler(
            connection.handle, stride,
            { context in
                guard let context else { return 1 }
                return Unmanaged<CostMeter>.fromOpaque(context).takeUnretainedValue().isDue() ? 1 : 0
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Bounds what follows to so many units.
    func start(_ units: Int) { left = units }

    /// Bounds what follows by time: for queries, which need not end alike everywhere.
    func start(until deadline: ContinuousClock.Instant) { self.deadline = deadline }

    /// Lifts the bounds.
    func stop() {
        left = .max
        deadline = nil
    }

    /// Whether the budget or the time is used up: whoever works for a statement that has no more of either gives up.
    var isSpent: Bool {
        if let deadline { return ContinuousClock.now >= deadline }
        return left == 0 || isStopped
    }

    /// Takes `units`, at least 0, from the budget; false when it does not have them, and is used up.
    func charge(_ units: Int) -> Bool {
        guard left != .max else { return !isSpent }
        left -= min(units, left)
        return left > 0
    }

    private func isDue() -> Bool { !charge(stride) || isStopped }

    /// Whether what is bounded by units is to give up. The node's own statements, a COMMIT above all, run to their end.
    private var isStopped: Bool { left != .max && stopFlag.isRaised }
}
