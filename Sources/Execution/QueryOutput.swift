import Chain

/// Where a query's result goes while it is read. What is given before a query fails is of no use.
protocol QueryOutput {
    /// The columns' names.
    mutating func begin(_ names: [String])
    /// The next value of the next row.
    mutating func add(_ value: Value)
    /// The columns' types, once all rows have been given.
    mutating func end(_ types: [DataType.Name])
}

/// Puts a result together in memory.
struct QueryResultBuilder: QueryOutput {
    private var names: [String] = []
    private var rows: [[Value]] = []
    private var row: [Value] = []
    /// Once it is whole.
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

    /// Whether the last row has all its values.
    var isAtRow: Bool { row.isEmpty }
}
