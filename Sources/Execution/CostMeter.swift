import CShims

/// Counts what the statement that runs costs, and stops it beyond its budget (docs/execution.md, "Costs").
///
/// A transaction's costs are counted in the units of `CostModel`: instructions of SQLite's virtual machine, which a
/// progress handler reports (https://sqlite.org/c3ref/progress_handler.html), and what functions and written rows
/// charge. On the same state and the same version of SQLite they are the same on every node; time is not.
///
/// SQLite answers an interrupted statement that writes by undoing the whole transaction, which is the block's. So a
/// statement whose budget is used up is first forbidden to make any value or row, which fails the next one that it
/// makes, and undoes the statement alone. Only one that makes none goes on, until it is interrupted.
///
/// One thread at a time, as its connection.
final class CostMeter {
    /// Units between two looks at the budget, or instructions where each costs more.
    private static let stride = 1_000
    private static let leastStride = 10
    /// Units that a statement may cost after its budget before it is interrupted.
    private static let grace = 1_000_000

    private var connection: OpaquePointer?
    /// Whether what runs is counted: not what the node runs itself.
    private var isCounting = false
    private var budget = 0
    /// Of the budget.
    private var left = 0
    /// Units of an instruction.
    private var price = 0
    private var stride = 0
    private var graceLeft = 0
    private var deadline: ContinuousClock.Instant?
    private let stopFlag: StopFlag

    /// Stops what it counts when `stopFlag` is raised, too; the node's own statements, a COMMIT above all, run to their
    /// end.
    init(_ stopFlag: StopFlag = StopFlag()) { self.stopFlag = stopFlag }

    /// Whether the budget of the last statement is used up, or the time of a query: whoever works for it gives up.
    var isSpent: Bool {
        if let deadline { return ContinuousClock.now >= deadline }
        return left == 0 && budget > 0
    }

    /// What has been charged since `start`.
    var used: Int { budget - left }

    /// Serves a connection, for as long as both live.
    func attach(to connection: SQLiteConnection) { self.connection = connection.handle }

    /// Bounds what follows to so many units.
    func start(_ units: Int) {
        budget = max(units, 1)
        left = budget
        graceLeft = Self.grace
    }

    /// Counts the instructions of what runs now, and lets values have `width`.
    func run(at width: CostModel.Width) {
        isCounting = true
        price = width.price
        watch(every: max(Self.leastStride, Self.stride / width.price))
        limit(isSpent ? 1 : width.bytes)
    }

    /// Bounds what follows by time: for queries, which need not end alike everywhere.
    func start(until deadline: ContinuousClock.Instant) {
        isCounting = true
        self.deadline = deadline
        watch(every: ExecutionLimits.queryStride)
    }

    /// Charges the `steps` instructions of a run that no look has counted, and lifts the bounds. What was charged, and
    /// whether the budget is used up, can be asked until the next `start`.
    func stop(steps: Int = 0) {
        if stride > 0, deadline == nil { charge((steps % stride) * price) }
        isCounting = false
        deadline = nil
        stride = 0
        sqlite3_progress_handler(connection, 0, nil, nil)
        limit(CostModel.value.value)
    }

    /// Takes `units`, at least 0, from the budget; false when that is used up, or what runs is to stop.
    @discardableResult
    func charge(_ units: Int) -> Bool {
        guard isCounting else { return true }
        guard deadline == nil else { return !isSpent }
        if left > 0 {
            left -= min(units, left)
            if left == 0, stride > 0 { limit(1) }
        } else {
            graceLeft -= min(units, graceLeft)
        }
        return left > 0 && !stopFlag.isRaised
    }

    private func watch(every stride: Int) {
        self.stride = stride
        sqlite3_progress_handler(
            connection, Int32(clamping: stride),
            { context in
                guard let context else { return 1 }
                return Unmanaged<CostMeter>.fromOpaque(context).takeUnretainedValue().mustStop() ? 1 : 0
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    private func mustStop() -> Bool {
        if deadline != nil { return isSpent }
        charge(stride * price)
        return graceLeft == 0 || stopFlag.isRaised
    }

    private func limit(_ bytes: Int) {
        sqlite3_limit(connection, SQLITE_LIMIT_LENGTH, Int32(clamping: bytes))
    }
}
