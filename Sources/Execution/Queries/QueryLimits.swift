import Chain

/// The limits of a query. A query that would exceed one fails; it never returns a partial result.
public struct QueryLimits: Hashable, Sendable {
    /// The maximum number of rows.
    public var rows: Int
    /// The maximum number of values in all rows. Each takes about 80 bytes of the node's memory, plus the size of a
    /// text or blob.
    public var values: Int
    /// The maximum size of the result in bytes: its names, texts and blobs, plus 8 for each other value.
    public var bytes: Int
    /// The maximum time.
    public var time: Duration
    /// The maximum processor time; nil for whatever fits into `time`.
    public var processorTime: Duration?

    /// The maximum size of SQLite's heap in a query process without the page cache, in bytes, including sorting, grouping and
    /// temporary tables. Two such queries leave enough room for the node on a machine with 512 MB.
    static let memory = 96 << 20

    /// Creates limits; the defaults suit a small machine: 100,000 rows, 1,000,000 values, 32 MiB, 5 s.
    public init(
        rows: Int = 100_000, values: Int = 1_000_000, bytes: Int = 32 * 1024 * 1024,
        time: Duration = .seconds(5), processorTime: Duration? = nil
    ) {
        self.rows = rows
        self.values = values
        self.bytes = bytes
        self.time = time
        self.processorTime = processorTime
    }

    /// The error for a query that exceeds its time.
    public var late: ExecutionError {
        .queryLimit("the query ran for longer than \(processorTime ?? time)")
    }
}

/// How much a query may take. Each is tried as a short one first, so that look-ups need not wait for queries that read much
/// (docs/execution.md, "Queries").
public enum QueryLength: String, CaseIterable, Sendable {
    /// Several times what finding rows by a key takes.
    case short
    /// As much as any query.
    case long

    /// The limits of a query of this length. A short one usually ends at its processor time: on a busy machine a look-up
    /// must not become a long query. The other limit is for one that waits for the disk.
    public var limits: QueryLimits {
        switch self {
        case .short:
            QueryLimits(
                rows: 1_000, values: 1_000, bytes: 64 << 10, time: .milliseconds(250),
                processorTime: .milliseconds(5))
        case .long: QueryLimits()
        }
    }
}

/// Counts a result against its limits.
struct QueryTally {
    let limits: QueryLimits
    private var rows = 0
    private var values = 0
    private var bytes = 0

    init(_ limits: QueryLimits) { self.limits = limits }

    /// Counts a row of `columns` values before they are read; their size is known to be at least `known` bytes.
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

    /// Counts a value or a column's name.
    mutating func add(_ value: Value) throws(ExecutionError) {
        let size = StoredValue.size(of: value.scalar ?? .null)
        guard size <= limits.bytes - bytes else { throw tooLarge }
        bytes += size
    }

    private var tooLarge: ExecutionError {
        .queryLimit("the query yields more than \(limits.bytes) bytes")
    }
}
