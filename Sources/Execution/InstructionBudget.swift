import CShims

/// Stops statements that run for too long (https://sqlite.org/c3ref/progress_handler.html).
///
/// The budget is counted in instructions of SQLite's virtual machine, which on the same state and the same version
/// of SQLite are the same on every node; time is not.
final class InstructionBudget {
    private var left = Int.max
    private var stride = 0
    private var deadline: ContinuousClock.Instant?

    /// Watches a connection, for as long as both live; looks once every `stride` instructions.
    func attach(to connection: SQLiteConnection, every stride: Int32) {
        self.stride = Int(stride)
        sqlite3_progress_handler(
            connection.handle, stride,
            { context in
                guard let context else { return 1 }
                return Unmanaged<InstructionBudget>.fromOpaque(context).takeUnretainedValue().isUsedUp()
                    ? 1 : 0
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Bounds what follows to so many instructions.
    func start(_ instructions: Int) { left = instructions }

    /// Bounds what follows by time: for queries, which need not end alike everywhere.
    func start(until deadline: ContinuousClock.Instant) { self.deadline = deadline }

    /// Lifts the bounds.
    func stop() {
        left = .max
        deadline = nil
    }

    private func isUsedUp() -> Bool {
        if let deadline { return ContinuousClock.now >= deadline }
        guard left != .max else { return false }
        left -= min(stride, left)
        return left == 0
    }
}
