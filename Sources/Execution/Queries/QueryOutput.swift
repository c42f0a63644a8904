import Chain

/// A receiver of a query's result. If the query fails, what it has received is invalid.
protocol QueryOutput {
    /// Receives the columns' names.
    mutating func begin(_ names: [String])
    /// Receives the next value of a row.
    mutating func add(_ value: Value)
    /// Receives the columns' types, after all rows.
    mutating func end(_ types: [DataType.Name])
}

/// Collects a result in memory.
struct QueryResultBuilder: QueryOutput {
    private var names: [String] = []
    private var rows: [[Value]] = []
    private var row: [Value] = []
    /// The result, once it is complete.
    private(set) var result: QueryResult?

    mutating func begin(_ names: [String]) { self.names = names }

    mutating func add(_ value: Value) {
        if row.isEmpty { row.reserveCapacity(names.count) }
        row.append(value)
        guard row.count == names.count else { return }
        rows.append(row)
        row = []
    }

    mutating func end(_ types: [DataType.Name]) {
        result = QueryResult(columnNames: names, columnTypes: types.map { DataType($0) }, rows: rows)
        rows = []
    }

    /// Whether the last row is complete.
    var isAtRow: Bool { row.isEmpty }
}
