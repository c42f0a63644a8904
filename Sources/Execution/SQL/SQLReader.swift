import Bytes
import CShims
import Chain

/// The reading side of `SQLApplication`: accounts and queries on committed state.
///
/// Not thread-safe: one thread at a time.
final class SQLReader {
    private let connection: SQLiteConnection
    private let meter = CostMeter()
    private let begin, end, schemaVersion: SQLiteStatement
    private var sizes: (version: Int64, sizes: SchemaSizes)?
    private var accounts: AccountReader?

    init(path: String) throws(SQLiteFailure) {
        connection = try SQLiteConnection(path: path, access: .readOnly)
        try StoredState.reserveModules(connection)
        begin = try connection.prepare("BEGIN", isPersistent: true)
        end = try connection.prepare("COMMIT", isPersistent: true)
        schemaVersion = try connection.prepare("PRAGMA schema_version", isPersistent: true)
        meter.attach(to: connection)
    }

    /// See `Application.account`.
    func account(_ id: AccountID) throws(ExecutionError) -> Account? {
        do throws(SQLiteFailure) {
            if let accounts { return try accounts.account(id) }
            let reader = try AccountReader(connection)
            accounts = reader
            return try reader.account(id)
        } catch {
            throw error.nodeError
        }
    }

    /// See `Application.query`.
    func query(_ sql: String, _ parameters: [RawStatement.Parameter], _ limits: QueryLimits)
        throws(ExecutionError) -> QueryResult
    {
        var builder = QueryResultBuilder()
        try query(sql, parameters, limits, into: &builder)
        guard let result = builder.result else { throw .outOfOrder("the query result is incomplete") }
        return result
    }

    /// Passes the result of a query to `output`. The result is complete unless this throws.
    func query(
        _ sql: String, _ parameters: [RawStatement.Parameter], _ limits: QueryLimits,
        into output: inout some QueryOutput
    ) throws(ExecutionError) {
        // One transaction, so that the checks below see the same schema as the query.
        do throws(SQLiteFailure) { try begin.run() } catch { throw error.nodeError }
        defer { try? end.run() }
        let sizes: SchemaSizes
        do throws(SQLiteFailure) { sizes = try schemaSizes() } catch { throw queryError(error, limits) }
        let text: StatementText
        do {
            text = try StatementText(RawText(sql), for: .query)
            _ = try text.expandedSize(sizes)
        } catch {
            throw .invalidQuery(error.text)
        }
        meter.start(limits)
        defer { meter.stop() }
        // The policy's mode stays in effect while the statement runs: table-valued functions prepare statements then.
        let outcome: Result<Void, ExecutionError> = connection.policy.with(.query) {
            do throws(SQLiteFailure) {
                return try run(text.sql.string, parameters, limits, &output)
            } catch {
                return .failure(queryError(error, limits))
            }
        }
        try outcome.get()
    }

    /// Opens everything that queries need, so that the process can give up opening files, and makes SQLite keep
    /// temporary data in memory and its page cache within `cacheBytes`.
    func prepareForSandbox(cacheBytes: Int) throws(ExecutionError) {
        do throws(SQLiteFailure) {
            try connection.execute("PRAGMA temp_store = MEMORY")
            try connection.limitCache(toBytes: cacheBytes)
            try begin.run()
            defer { try? end.run() }
            _ = try schemaSizes()
        } catch {
            throw error.nodeError
        }
        // Opens the kernel's source of randomness.
        var byte: UInt8 = 0
        sqlite3_randomness(1, &byte)
    }

    /// Returns the sizes of the schema that the current transaction sees.
    private func schemaSizes() throws(SQLiteFailure) -> SchemaSizes {
        defer { schemaVersion.reset() }
        let version = try schemaVersion.step() ? schemaVersion.int(0) : 0
        if let sizes, sizes.version == version { return sizes.sizes }
        let read = try SchemaSizes(connection)
        sizes = (version, read)
        return read
    }

    private func queryError(_ failure: SQLiteFailure, _ limits: QueryLimits) -> ExecutionError {
        if failure.isInterrupt { return limits.late }
        if failure.isOutOfMemory {
            return .queryLimit("the query needed more than \(QueryLimits.memory >> 20) MiB of memory")
        }
        guard failure.isStatementFault else { return failure.nodeError }
        return .invalidQuery(connection.policy.findings.refusal ?? failure.message)
    }

    private func run(
        _ sql: String, _ parameters: [RawStatement.Parameter], _ limits: QueryLimits,
        _ output: inout some QueryOutput
    ) throws(SQLiteFailure) -> Result<Void, ExecutionError> {
        let statement = try connection.prepare(sql)
        guard statement.isReadOnly, statement.columnCount > 0 else {
            return .failure(.invalidQuery("queries may only read"))
        }
        let named: NamedParameters
        do { named = try NamedParameters(of: statement) } catch { return .failure(.invalidQuery(error.text)) }
        if case .failure(let fault) = try named.bind(parameters, to: statement) {
            return .failure(.invalidQuery(fault.text))
        }
        let columns = 0..<statement.columnCount
        var tally = QueryTally(limits)
        do throws(ExecutionError) {
            let names = columns.map { statement.columnName($0) }
            for name in names { try tally.add(.text(name)) }
            output.begin(names)
        } catch {
            return .failure(error)
        }
        let declared = columns.map { StoredValue.type(declared: statement.columnDeclaration($0)) }
        var types = declared
        while try statement.step() {
            do throws(ExecutionError) {
                try tally.add(row: columns.count, bytes: columns.reduce(0) { $0 + statement.size($1) })
                for column in columns {
                    let value = StoredValue.read(statement, column, declared: declared[column])
                    try tally.add(value)
                    if types[column] == nil, value != .null { types[column] = value.type.name }
                    output.add(value)
                }
            } catch {
                return .failure(error)
            }
        }
        output.end(types.map { $0 ?? .text })
        return .success(())
    }
}
