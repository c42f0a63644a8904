import Chain
import Collections
import Execution
import Node

/// Measurements of the application with a large table.
extension ChainBuilder {
    /// The rows that one statement inserts, well within its budget.
    private static let rowsAtOnce: Int64 = 20_000
    /// The rows that a measured block changes, and those that it inserts.
    private static let updates = 10
    private static let inserts = 10
    /// As many bytes as a row has.
    private static let text = String(repeating: "v", count: 64)

    /// Inserts rows until the table has at least this many.
    public func fill(toRows count: Int64) throws {
        try createTable()
        var rows = try rows()
        while rows < count {
            let last = min(rows + Self.rowsAtOnce, count)
            try append([
                RawStatement(
                    """
                    INSERT INTO rows WITH RECURSIVE n(i) AS (VALUES (\(rows + 1)) UNION ALL SELECT i + 1 FROM n WHERE i < \(last))
                    SELECT i, '\(Self.text)' FROM n
                    """)
            ])
            rows = last
        }
    }

    /// Returns how long blocks take that change rows anywhere in the table, by their keys, and insert as many: to execute,
    /// store and commit each.
    public func commitTimes(blocks: Int) throws -> [Duration] {
        var random = SeededGenerator(seed: UInt64(height))
        let rows = try rows()
        return try (0..<blocks).map { _ in
            let updates = (0..<Self.updates).map { _ in
                RawStatement(
                    "UPDATE rows SET v = $v WHERE id = $id",
                    [
                        .init("$v", .text("\(random.next())\(Self.text)")),
                        .init("$id", .int8(1 + Int64(random.next() % UInt64(rows)))),
                    ])
            }
            let inserts = (0..<Self.inserts).map { _ in
                RawStatement("INSERT INTO rows (v) VALUES ($v)", [.init("$v", .text(Self.text))])
            }
            return try append(updates + inserts)
        }
    }

    private func rows() throws -> Int64 {
        let found = try application.query("SELECT max(id) FROM rows", [], limits: QueryLimits())
        guard case .int8(let count)? = found.rows.first?.first?.elements.first else { return 0 }
        return count
    }
}
