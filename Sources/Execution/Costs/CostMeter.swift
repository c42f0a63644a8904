import CShims

/// Counts the cost of the running statement and stops it when it exceeds its budget (docs/execution.md, "Costs").
///
/// A statement of a transaction is charged in the units of `CostModel`, for instructions of SQLite's virtual machine,
/// which a progress handler reports (https://sqlite.org/c3ref/progress_handler.html), and for functions and written
/// rows. With the same state and the same version of SQLite, its cost is the same on every node, unlike its time.
///
/// If a writing statement is interrupted, SQLite rolls back the whole transaction, which is the block. A statement that
/// has spent its budget is therefore first forbidden to produce any value or row: the next one fails and undoes only
/// the statement. Only a statement that produces none continues until it is interrupted.
///
/// Not thread-safe: one thread at a time, like its connection.
final class CostMeter {
    /// The number of units between checks of the budget, and the minimum number of instructions.
    private static let stride = 1_000
    private static let leastStride = 10
    /// The number of units beyond its budget at which a statement is interrupted.
    private static let grace = 1_000_000

    private var connection: OpaquePointer?
    /// Whether the running statement is charged; the node's own are not.
    private var isCounting = false
    private var budget = 0
    /// The remaining budget.
    private var left = 0
    /// The price of an instruction, in units.
    private var price = 0
    private var stride = 0
    private var graceLeft = 0
    /// That of the running query; nil for any other statement.
    private var clock: QueryClock?
    private let stopFlag: StopFlag

    /// Creates a meter that also stops charged statements when `stopFlag` is raised. The node's own statements, such as
    /// COMMIT, always run to completion.
    init(_ stopFlag: StopFlag = StopFlag()) { self.stopFlag = stopFlag }

    /// Whether the last statement has spent its budget, or the query its time.
    var isSpent: Bool {
        if let isOver = clock?.isOver { return isOver }
        return left == 0 && budget > 0
    }

    /// The number of units charged since `start`.
    var used: Int { budget - left }

    /// Attaches the meter to a connection for as long as both exist.
    func attach(to connection: SQLiteConnection) { self.connection = connection.handle }

    /// Starts a statement with a budget of `units`.
    func start(_ units: Int) {
        budget = max(units, 1)
        left = budget
        graceLeft = Self.grace
    }

    /// Starts counting instructions and limits values to `width`.
    func run(at width: CostModel.Width) {
        isCounting = true
        price = width.price
        watch(every: max(Self.leastStride, Self.stride / width.price))
        limit(isSpent ? 1 : width.bytes)
    }

    /// Starts a query with limits on its time instead of a budget, since queries need not behave the same on every node.
    func start(_ limits: QueryLimits) {
        isCounting = true
        clock = QueryClock(limits)
        watch(every: ExecutionLimits.queryStride)
    }

    /// Stops counting and lifts the limits. Charges those of the run's `steps` instructions that no check has counted
    /// yet. `used` and `isSpent` stay valid until the next `start`.
    func stop(steps: Int = 0) {
        if stride > 0, clock == nil { charge((steps % stride) * price) }
        isCounting = false
        clock = nil
        stride = 0
        sqlite3_progress_handler(connection, 0, nil, nil)
        limit(CostModel.value.value)
    }

    /// Deducts `units`, at least 0, from the budget. Returns false if the statement must stop.
    @discardableResult
    func charge(_ units: Int) -> Bool {
        guard isCounting else { return true }
        guard clock == nil else { return !isSpent }
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
        if clock != nil { return isSpent }
        charge(stride * price)
        return graceLeft == 0 || stopFlag.isRaised
    }

    private func limit(_ bytes: Int) {
        sqlite3_limit(connection, SQLITE_LIMIT_LENGTH, Int32(clamping: bytes))
    }
}
