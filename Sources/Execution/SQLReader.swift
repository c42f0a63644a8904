import CShims
import Chain
import Multiformats

/// The reading side of `SQLApplication`: accounts and queries, on committed state.
///
/// One thread at a time.
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
        throws(ExecutionError)
        -> QueryResult
    {
        // One transaction, so that the schema that is looked at is the query's.
        do throws(SQLiteFailure) { try begin.run() } catch { throw error.nodeError }
        defer { try? end.run() }
        let sizes: SchemaSizes
        do throws(SQLiteFailure) { sizes = try schemaSizes() } catch { throw error.nodeError }
        let text: StatementText
        do {
            text = try StatementText(RawText(sql), for: .query)
            _ = try text.expandedSize(sizes)
        } catch {
            throw .invalidQuery(error.text)
        }
        meter.start(until: .now + limits.time)
        defer { meter.stop() }
        // The policy's mode lasts as long as the statement runs: table-valued functions prepare while they run.
        let outcome: Result<QueryResult, ExecutionError> = connection.policy.with(.query) {
            do throws(SQLiteFailure) {
                return try run(text.sql.string, parameters, limits)
            } catch {
                return .failure(queryError(error, limits))
            }
        }
        return try outcome.get()
    }

    /// Of the schema that the present transaction sees.
    private func schemaSizes() throws(SQLiteFailure) -> SchemaSizes {
        defer { schemaVersion.reset() }
        let version = try schemaVersion.step() ? schemaVersion.int(0) : 0
        if let sizes, sizes.version == version { return sizes.sizes }
        let read = try SchemaSizes(connection)
        sizes = (version, read)
        return read
    }

    private func queryError(_ failure: SQLiteFailure, _ limits: QueryLimits) -> ExecutionError {
        if failure.isInterrupt { return .queryLimit("the query ran for longer than \(limits.time)") }
        guard failure.isStatementFault else { return failure.nodeError }
        return .invalidQuery(connection.policy.findings.refusal ?? failure.message)
    }

    private func run(_ sql: String, _ parameters: [RawStatement.Parameter], _ limits: QueryLimits)
        throws(SQLiteFailure)
        -> Result<QueryResult, ExecutionError>
    {
        let statement = try connection.prepare(sql)
        guard statement.isReadOnly, statement.columnCount > 0 else {
            return .failure(.invalidQuery("queries may only read"))
        }
        if let error = try bind(parameters, to: statement) { return .failure(error) }
        let columns = 0..<statement.columnCount
        let declared = columns.map { StoredValue.type(declared: statement.columnDeclaration($0)) }
        var types = declared
        var rows: [[Value]] = []
        var bytes = 0
        while try statement.step() {
            guard rows.count < limits.rows else {
                return .failure(.queryLimit("the query yields more than \(limits.rows) rows"))
            }
            for column in columns { bytes += statement.size(column) }
            guard bytes <= limits.bytes else {
                return .failure(.queryLimit("the query yields more than \(limits.bytes) bytes"))
            }
            let row = columns.map { StoredValue.read(statement, $0, declared: declared[$0]) }
            for column in columns where types[column] == nil && row[column] != .null {
                types[column] = row[column].type.name
            }
            rows.append(row)
        }
        return .success(
            QueryResult(
                columnNames: columns.map { statement.columnName($0) },
                columnTypes: types.map { DataType($0 ?? .text) }, rows: rows))
    }

    /// Binds values by name: one with its sign before one without. Names are the same if their bytes are.
    private func bind(
        _ parameters: [RawStatement.Parameter], to statement: SQLiteStatement
    ) throws(SQLiteFailure) -> ExecutionError? {
        let values = Dictionary(parameters.map { ($0.name, $0.value) }) { first, _ in first }
        for index in 0..<statement.parameterCount {
            guard let name = statement.parameterName(index + 1), let sign = name.utf8.first,
                "$@:".utf8.contains(sign)
            else { return .invalidQuery("parameters need names such as $id") }
            guard let value = values[name] ?? values[RawText(decoding: name.utf8.dropFirst())] else {
                return .invalidQuery("parameter \(name) has no value")
            }
            try StoredValue.bind(value, to: statement, at: index + 1)
        }
        return nil
    }
}
