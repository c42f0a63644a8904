import CShims
import Chain
import Glibc
import Synchronization

/// The default application, whose transactions are SQL statements on an SQLite database (docs/execution.md).
///
/// The database is `application.sqlite` in its directory, with SQLite's write-ahead log beside it. Blocks use one
/// connection, queries another, and account lookups a third; the last two are opened when first used. Each has its own
/// lock, so queries and blocks never wait for each other.
public final class SQLApplication: Application {
    /// The database's path.
    public let path: String
    private let accounts: Guarded<LazyReader>
    private let queries: Guarded<LazyReader>
    private let engine: Guarded<SQLEngine>
    private let committed = Mutex(Committed())
    private let stopFlag = StopFlag()

    /// The part of committed state that is cached outside SQLite.
    private struct Committed {
        var tip: ApplicationTip?
        var durableHeight = Int64.min
        /// Accounts recently read or changed; nil for an account that does not exist.
        var accounts: [AccountID: Account?] = [:]
        var requests = ValidatorRequests()
        /// The number of commits, so that a lookup does not cache an account that a commit has changed meanwhile.
        var commits: UInt64 = 0

        mutating func keep(_ account: Account?, of id: AccountID) {
            if accounts.count >= ExecutionLimits.cachedAccounts { accounts = [:] }
            accounts[id] = .some(account)
        }
    }

    /// The size of the page cache for blocks unless the owner chooses another, in bytes.
    public static let defaultCacheBytes = 8 << 20

    /// Returns the path of the database in a directory.
    public static func path(in directory: String) -> String { "\(directory)/application.sqlite" }

    /// Opens or creates the database in a directory, which is created if its parent exists. SQLite undoes what a crash
    /// left unfinished; `tip` is the last block that the database contains. The page cache for blocks takes up to
    /// `cacheBytes`.
    public init(directory: String, cacheBytes: Int = defaultCacheBytes) throws(ExecutionError) {
        if mkdir(directory, 0o700) != 0, errno != EEXIST {
            throw .unusable(file: directory, reason: String(cString: strerror(errno)))
        }
        path = Self.path(in: directory)
        try WriteAheadLog.check(path)
        do throws(SQLiteFailure) {
            let engine = try SQLEngine(path: path, cacheBytes: cacheBytes, stopFlag: stopFlag)
            let (tip, requests) = (engine.tip, engine.requests)
            self.engine = Guarded(engine)
            accounts = Guarded(LazyReader(path: path))
            queries = Guarded(LazyReader(path: path))
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

    /// The height at SQLite's last complete checkpoint since this object exists.
    public var durableHeight: Int64 { committed.withLock { $0.durableHeight } }

    /// See `Application.initialize`. Creates the table of grants and the genesis balances.
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
        let (done, durable) = try engine.run { (engine) throws(ExecutionError) in
            (try engine.commit(), engine.durableHeight)
        }
        committed.withLock {
            $0.durableHeight = durable
            $0.commits &+= 1
            for block in done {
                $0.tip = block.tip
                $0.requests = block.requests
                for change in block.result.accounts { $0.keep(change.account, of: change.id) }
            }
        }
    }

    /// See `Application.rollback`.
    public func rollback() throws(ExecutionError) {
        try engine.run { $0.rollback() }
    }

    /// Limits the page cache for blocks to `count` pages of 4 KiB.
    package func limitCache(toPages count: Int) throws(ExecutionError) {
        try onConnection { (connection) throws(SQLiteFailure) in
            try connection.execute("PRAGMA cache_size = \(count)")
        }
    }

    /// Empties all caches, such as that of compiled statements. No block may be prepared.
    package func forgetCaches() throws(ExecutionError) { try engine.run { $0.forgetCaches() } }

    /// Returns the cost of the last executed block, in units.
    package func blockCost() throws(ExecutionError) -> Int { try engine.run { $0.blockCost } }

    /// Returns the faults that SQLite's integrity check reports. No block may be prepared.
    package func integrityFaults() throws(ExecutionError) -> [String] {
        try onConnection { (connection) throws(SQLiteFailure) in
            let check = try connection.prepare("PRAGMA integrity_check")
            var lines: [String] = []
            while try check.step() { lines.append(check.text(0)) }
            return lines == ["ok"] ? [] : lines
        }
    }

    /// Returns the result of `body` on the connection for blocks.
    func onConnection<Value: Sendable>(
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
        assert(apus_may_block(), "an account is looked up on a thread that may not wait")
        let (isInitialized, known, commits) = committed.withLock {
            ($0.tip != nil, $0.accounts[id], $0.commits)
        }
        guard isInitialized else { throw .notInitialized }
        if let known { return known }
        let account = try accounts.run { (reader) throws(ExecutionError) in
            try reader.opened().account(id)
        }
        committed.withLock { if $0.commits == commits { $0.keep(account, of: id) } }
        return account
    }

    /// See `Application.validatorRequests`.
    public func validatorRequests() throws(ExecutionError) -> [ValidatorRequest] {
        committed.withLock { Array($0.requests.values) }
    }

    /// See `Application.query`. One query runs at a time; others wait.
    public func query(_ sql: String, _ parameters: [RawStatement.Parameter], limits: QueryLimits)
        throws(ExecutionError) -> QueryResult
    {
        guard committed.withLock({ $0.tip != nil }) else { throw .notInitialized }
        return try queries.run { (reader) throws(ExecutionError) in
            try reader.opened().query(sql, parameters, limits)
        }
    }

    /// See `Application.close`. Waits for running queries. The engine closes last, because it checkpoints SQLite's
    /// write-ahead log once no reader is left.
    public func close() {
        accounts.close()
        queries.close()
        engine.close()
    }
}

/// A reader that is opened when first used: a node whose queries run in processes never needs one of the two.
private final class LazyReader {
    private let path: String
    private var reader: SQLReader?

    init(path: String) { self.path = path }

    func opened() throws(ExecutionError) -> SQLReader {
        if let reader { return reader }
        do throws(SQLiteFailure) {
            let opened = try SQLReader(path: path)
            reader = opened
            return opened
        } catch {
            throw error.nodeError
        }
    }
}

/// The owner of a connection, used by one thread at a time until it is closed.
private struct Guarded<Connection: AnyObject>: ~Copyable, Sendable {
    private let connection: Mutex<Connection?>

    init(_ connection: sending Connection) { self.connection = Mutex(connection) }

    func run<R: Sendable>(_ body: (Connection) throws(ExecutionError) -> R) throws(ExecutionError) -> R {
        assert(apus_may_block(), "the database is used on a thread that may not wait")
        return try connection.withLock { (connection) throws(ExecutionError) in
            guard let connection else { throw .closed }
            return try body(connection)
        }
    }

    func close() {
        assert(apus_may_block(), "the database is closed on a thread that may not wait")
        connection.withLock { $0 = nil }
    }
}
