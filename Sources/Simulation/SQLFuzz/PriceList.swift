import Execution
import Glibc
import Multiformats

/// The dearest statements known of each kind of cost, with what they take on this machine (docs/execution.md, "Costs").
public struct PriceList {
    /// What a statement took.
    public struct Row: Sendable {
        /// Of what kind its costs are.
        let kind: String
        let units: Int
        let time: Duration
        /// The most that SQLite had in memory beyond what it had before.
        let memory: Int64
        /// By how much the database and its write-ahead log have grown, which may begin again.
        let disk: Int64

        /// The row in Markdown.
        public var text: String {
            let seconds = time / .seconds(1)
            let perBudget = seconds * Double(CostModel.statement.value) / Double(max(units, 1))
            return "| \(kind) | \(units) | \(Self.hundredths(seconds)) | \(Self.hundredths(perBudget)) | "
                + "\(memory >> 20) | \(disk >> 20) |"
        }

        private static func hundredths(_ value: Double) -> String {
            let count = Int((value * 100).rounded())
            return "\(count / 100).\(count % 100 < 10 ? "0" : "")\(count % 100)"
        }
    }

    /// The table's head in Markdown.
    public static let head = """
        | kind of cost | units | seconds | seconds for a statement's budget | MiB of memory | MiB of disk |
        | --- | --- | --- | --- | --- | --- |
        """

    /// Measures all statements, each on databases of its own below a directory that is made and removed.
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
                throw FuzzFailure("\(sql): \(result.log)")
            }
        }
        let before = size(of: "\(directory)/a")
        let memory = try TwinHeap.peak { _ = try pair.step([SQLFuzzCase.Statement(sql: statement.sql)]) }
        return Row(
            kind: statement.kind, units: try pair.lastCost(), time: pair.lastBlock,
            memory: memory,
            disk: max(0, size(of: "\(directory)/a") - before))
    }

    private static func size(of directory: String) -> Int64 {
        ["application.sqlite", "application.sqlite-wal"].reduce(0) { total, name in
            var status = stat()
            return lstat("\(directory)/\(name)", &status) == 0 ? total + Int64(status.st_size) : total
        }
    }
}
