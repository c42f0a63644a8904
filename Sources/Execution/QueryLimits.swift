import Chain

/// Bounds of one query. A query that would exceed one fails; it never yields a part.
public struct QueryLimits: Hashable, Sendable {
    /// Rows of the result.
    public var rows: Int
    /// Values of all rows. One takes about 80 bytes of the node's memory, besides a text's or a blob's own.
    public var values: Int
    /// Bytes of the result's names, texts and blobs, and 8 for each other value.
    public var bytes: Int
    /// How long the query may run.
    public var time: Duration

    /// Bytes that SQLite may take for the queries of a process of their own: sorting, grouping and temporary tables are
    /// done in memory. Two such processes leave a machine of 512 MB room for the node.
    static let memory = 96 << 20

    /// Bounds that leave an API on a small machine alive: 100,000 rows, 1,000,000 values, 32 MiB, 5 s.
    public init(
        rows: Int = 100_000, values: Int = 1_000_000, bytes: Int = 32 * 1024 * 1024,
        time: Duration = .seconds(5)
    ) {
        self.rows = rows
        self.values = values
        self.bytes = bytes
        self.time = time
    }
}

/// How much of its bounds a result has used.
struct QueryTally {
    let limits: QueryLimits
    private var rows = 0
    private var values = 0
    private var bytes = 0

    init(_ limits: QueryLimits) { self.limits = limits }

    /// Counts a row of so many values before they are read, of which it is known that they take so many bytes.
    mutating func add(row columns: Int, bytes known: Int) throws(ExecutionError) {
        rows += 1
        values += columns
        guard rows <= limits.rows else {
            throw .queryLimit("the query yields more than \(limits.rows) rows")
        }
        guard values <= limits.values else {
            throw .queryLimit("the query yields more than \(limits.values) values")
        }
        guard known <= limits.bytes - bytes else { throw tooLarge }
    }

    /// Counts a value, or a column's name.
    mutating func add(_ value: Value) throws(ExecutionError) {
        let size =
            switch value.scalar {
            case .text(let text), .numeric(let text): text.utf8.count
            case .bytea(let bytes): bytes.count
            default: 8
            }
        guard size <= limits.bytes - bytes else { throw tooLarge }
        bytes += size
    }

    private var tooLarge: ExecutionError {
        .queryLimit("the query yields more than \(limits.bytes) bytes")
    }
}
