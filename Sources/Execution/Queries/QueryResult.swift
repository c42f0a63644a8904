import Chain

/// The result of a query.
public struct QueryResult: Hashable, Sendable {
    /// The columns' names.
    public let columnNames: [String]
    /// The columns' types: as declared by the table, otherwise that of the first value that is not null.
    public let columnTypes: [DataType]
    /// The rows, each with one value for each column.
    public let rows: [[Value]]

    /// Creates a result from its parts.
    public init(columnNames: [String], columnTypes: [DataType], rows: [[Value]]) {
        self.columnNames = columnNames
        self.columnTypes = columnTypes
        self.rows = rows
    }
}
