import Chain

/// What a query yields: columns, and rows of one value for each.
public struct QueryResult: Hashable, Sendable {
    /// The columns' names in order.
    public let columnNames: [String]
    /// The columns' types: what the table declares, else the first value that is not null.
    public let columnTypes: [DataType]
    /// The rows in the query's order.
    public let rows: [[Value]]

    /// A result by its parts.
    public init(columnNames: [String], columnTypes: [DataType], rows: [[Value]]) {
        self.columnNames = columnNames
        self.columnTypes = columnTypes
        self.rows = rows
    }
}

/// Bounds of one query. A query that would exceed one fails; it never yields a part.
public struct QueryLimits: Hashable, Sendable {
    /// Rows of the result.
    public var rows: Int
    /// Bytes of the result's texts and blobs, and 8 for each other value.
    public var bytes: Int
    /// How long the query may run.
    public var time: Duration

    /// Bounds that leave an API on a small machine alive: 100,000 rows, 32 MiB, 5 s.
    public init(rows: Int = 100_000, bytes: Int = 32 * 1024 * 1024, time: Duration = .seconds(5)) {
        self.rows = rows
        self.bytes = bytes
        self.time = time
    }
}
