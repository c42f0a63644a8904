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
