import Bytes
import Chain
import Execution
import Glibc

/// The dearest known statements of each kind of cost, with their measurements on this machine (docs/execution.md,
/// "Costs").
public struct PriceList {
    /// The measurements of one statement.
    public struct Row: Sendable {
        /// The main component of its cost.
        public let kind: String
        /// Its cost, in units.
        public let units: Int
        /// Its CPU time.
        public let time: Duration
        /// The peak of SQLite's memory beyond what it held before, in bytes.
        public let memory: Int64
        /// The growth of the database and its write-ahead log, in bytes; 0 where the log was restarted.
        public let disk: Int64

        /// The CPU time in which a statement of this kind spends its whole budget.
        public var timeOfBudget: Duration { time * CostModel.statement.value / max(units, 1) }
    }

    /// Measures all statements and passes each result to `each`. Each statement has its own databases below
    /// `directory`, which is created and removed.
    public static func measure(directory: String, _ each: (Row) throws -> Void) throws {
        for statement in DearStatement.all {
            try each(try measure(statement, directory))
        }
    }

    private static func measure(_ statement: DearStatement, _ directory: String) throws -> Row {
        defer { try? DirectoryTree.remove(directory) }
        let pair = try SQLFuzz.Pair(directory, prices: nil)
        defer { pair.close() }
        for sql in statement.setUp {
            for result in try pair.step([SQLFuzzCase.Statement(sql: sql)]) where !result.isOK {
                throw TwinFailure("\(sql): \(result.log)")
            }
        }
        let before = size(of: "\(directory)/a")
        var results: [TransactionResult] = []
        let memory = try TwinHeap.peak {
            results = try pair.step([SQLFuzzCase.Statement(sql: statement.sql)])
        }
        let units = try pair.lastCost()
        for result in results where !result.isOK && units < CostModel.statement.value {
            throw TwinFailure("\(statement.sql): \(result.log)")
        }
        return Row(
            kind: statement.kind, units: units, time: pair.lastBlock, memory: memory,
            disk: max(0, size(of: "\(directory)/a") - before))
    }

    private static func size(of directory: String) -> Int64 {
        ["application.sqlite", "application.sqlite-wal"].reduce(0) { total, name in
            var status = stat()
            return lstat("\(directory)/\(name)", &status) == 0 ? total + Int64(status.st_size) : total
        }
    }
}
