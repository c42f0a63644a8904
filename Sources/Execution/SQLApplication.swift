import CShims
import Chain
import Glibc
import Synchronization

/// The default application: transactions are SQL statements on an SQLite database (docs/execution.md).
///
/// The database is `application.sqlite` in its directory, with SQLite's write-ahead log beside it. Blocks run on
/// one connection, queries on two others and account look-ups on a fourth, each behind a lock of its own, so that
/// no query waits for a block or the reverse.
public final class SQLApplication: Application {
    /// The database's path.
    public let path: String
    private let accounts: Guarded<SQLReader>
    private let queries: QueryConnections
    private let engine: Guarded<SQLEngine>
    private let committed = Mutex(Committed())
    private let stopFlag = StopFlag()

    /// What is known of committed state without asking SQLite.
    private struct Committed {
        var tip: ApplicationTip?
        /// Accounts that were asked for or changed lately; nil for one that does not exist.
        var accounts: [AccountID: Account?] = [:]
        var requests = ValidatorRequests()
        /// Counts commits, so that a look-up does not store what a commit meanwhile has changed.
        var commits: UInt64 = 0

        mutating func keep(_ account: Account?, of id: AccountID) {
            if accounts.count >= ExecutionLimits.cachedAccounts { accounts = [:] }
            accounts[id] = .some(account)
        }
    }

    /// The path of the database in a directory.
    public static func path(in directory: String) -> String { "\(directory)/application.sqlite" }

    /// Opens the database in a directory, which is made when its parent exists. What a crash left half done is
    /// undone by SQLite; the tip tells how far the database came.
    public init(directory: String) throws(ExecutionError) {
        if mkdir(directory, 0o700) != 0, errno != EEXIST {
            throw .unusable(file: directory, reason: String(cString: strerror(errno)))
        }
        path = Self.path(in: directory)
        try WriteAheadLog.check(path)
        do throws(SQLiteFailure) {
            let engine = try SQLEngine(path: path, stopFlag: stopFlag)
            let (tip, requests) = (engine.tip, engine.requests)
            self.engine = Guarded(engine)
            accounts = Guarded(try SQLReader(path: path))
            queries = QueryConnections(try SQLReader(path: path), try SQLReader(path: path))
            committed.withLock {
                $0.tip = tip
                $0.requests = requests
            }
        } catch {
            throw error.nodeError
        }
    }

    /// The last committed block; height 0 before `initialize`.
    public var tip: ApplicationTip {
        committed.withLock { $0.tip } ?? ApplicationTip(height: 0, appHash: .zero)
    }

    /// See `Application.initialize`. Makes the table of grants and the genesis's balances.
    public func initialize(_ genesis: Genesis) throws(ExecutionError) {
        let tip = try engine.run { (engine) throws(ExecutionError) in
            try engine.initialize(genesis)
            return engine.tip
        }
        committed.withLock { $0.tip = tip }
    }

    /// See `Application.execute`.
    public func execute(
        _ block: Block, transactions: [Transaction], parameters: NetworkParameters, validators: ValidatorSet
    ) throws(ExecutionError) -> ExecutionResult {
        try engine.run { (engine) throws(ExecutionError) in
            try engine.execute(block, transactions, parameters, validators)
        }
    }

    /// See `Application.stop`.
    public func stop() { stopFlag.raise() }

    /// See `Application.commit`.
    public func commit() throws(ExecutionError) {
        let done = try engine.run { (engine) throws(ExecutionError) in try engine.commit() }
        committed.withLock {
            $0.tip = done.tip
            $0.requests = done.requests
            $0.commits &+= 1
            for (id, account) in done.accounts { $0.keep(account, of: id) }
        }
    }

    /// See `Application.rollback`.
    public func rollback() throws(ExecutionError) {
        try engine.run { $0.rollback() }
    }

    /// Lets the database grow to so many pages of 4 KiB; what does not fit fails as on a full disk.
    func limitPages(to count: Int) {
        try? engine.run { try? $0.connection.execute("PRAGMA max_page_count = \(count)") }
    }

    /// Keeps so many pages of 4 KiB in memory for blocks; what does not fit goes to the disk and back.
    package func limitCache(toPages count: Int) throws(ExecutionError) {
        try onConnection { (connection) throws(SQLiteFailure) in
            try connection.execute("PRAGMA cache_size = \(count)")
        }
    }

    /// Forgets the statements that are compiled and all else that is only kept to be quicker. No block may be prepared.
    package func forgetCaches() throws(ExecutionError) { try engine.run { $0.forgetCaches() } }

    /// What the last block that was executed has cost in units.
    package func blockCost() throws(ExecutionError) -> Int { try engine.run { $0.blockCost } }

    /// What SQLite's check of the whole database finds; nothing when it is whole. No block may be prepared.
    package func integrityFaults() throws(ExecutionError) -> [String] {
        try onConnection { (connection) throws(SQLiteFailure) in
            let check = try connection.prepare("PRAGMA integrity_check")
            var lines: [String] = []
            while try check.step() { lines.append(check.text(0)) }
            return lines == ["ok"] ? [] : lines
        }
    }

    private func onConnection<Value: Sendable>(
        _ body: (SQLiteConnection) throws(SQLiteFailure) -> Value
    ) throws(ExecutionError) -> Value {
        try engine.run { (engine) throws(ExecutionError) in
            do throws(SQLiteFailure) {
                return try body(engine.connection)
            } catch {
                throw error.nodeError
            }
        }
    }

    /// See `Application.account`.
    public func account(_ id: AccountID) throws(ExecutionError) -> Account? {
        assert(apus_may_block(), "an account is looked up on a reactor's thread")
        let (isInitialized, known, commits) = committed.withLock {
            ($0.tip != nil, $0.accounts[id], $0.commits)
        }
        guard isInitialized else { throw .notInitialized }
        if let known { return known }
        let account = try accounts.run { (reader) throws(ExecutionError) in try reader.account(id) }
        committed.withLock { if $0.commits == commits { $0.keep(account, of: id) } }
        return account
    }

    /// See `Application.validatorRequests`.
    public func validatorRequests() throws(ExecutionError) -> [ValidatorRequest] {
        committed.withLock { Array($0.requests.values) }
    }

    /// See `Application.query`. Two queries run at a time; more wait.
    public func query(_ sql: String, _ parameters: [RawStatement.Parameter], limits: QueryLimits)
        throws(ExecutionError)
        -> QueryResult
    {
        guard committed.withLock({ $0.tip != nil }) else { throw .notInitialized }
        return try queries.run { (reader) throws(ExecutionError) in try reader.query(sql, parameters, limits)
        }
    }

    /// See `Application.close`. Waits for queries that run. The engine is the last: it copies SQLite's write-ahead log
    /// back, which readers cannot.
    public func close() {
        accounts.close()
        queries.close()
        engine.close()
    }
}

/// Two connections for queries, used in turn.
private final class QueryConnections: Sendable {
    private let first: Guarded<SQLReader>
    private let second: Guarded<SQLReader>
    private let turns = Atomic<UInt>(0)

    init(_ first: sending SQLReader, _ second: sending SQLReader) {
        self.first = Guarded(first)
        self.second = Guarded(second)
    }

    func run<R: Sendable>(_ body: (SQLReader) throws(ExecutionError) -> R) throws(ExecutionError) -> R {
        let turn = turns.add(1, ordering: .relaxed).oldValue
        return turn.isMultiple(of: 2) ? try first.run(body) : try second.run(body)
    }

    func close() {
        first.close()
        second.close()
    }
}

/// What has a connection, for one thread at a time, until it is closed.
private struct Guarded<Connection: AnyObject>: ~Copyable, Sendable {
    private let connection: Mutex<Connection?>

    init(_ connection: sending Connection) { self.connection = Mutex(connection) }

    func run<R: Sendable>(_ body: (Connection) throws(ExecutionError) -> R) throws(ExecutionError) -> R {
        assert(apus_may_block(), "the database is used on a reactor's thread")
        return try connection.withLock { (connection) throws(ExecutionError) in
            guard let connection else { throw .closed }
            return try body(connection)
        }
    }

    func close() {
        assert(apus_may_block(), "the database is closed on a reactor's thread")
        connection.withLock { $0 = nil }
    }
}
