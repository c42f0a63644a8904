import Bytes
import CShims
import Chain
import Crypto

/// The application's own state in the table `apus_state` (docs/execution.md, "Files").
struct StoredState {
    /// The last committed block.
    var tip: ApplicationTip
    /// The hash of the genesis that the database was created for.
    let genesisHash: Hash
    /// The owner of the database, if there is one.
    let owner: AccountID?

    /// "Apus", as SQLite's application ID.
    private static let applicationID = 0x4170_7573
    /// The version of the table layout and the app hash.
    private static let layoutVersion = 3

    /// Initializes a new file, refuses one of another program, and applies the settings of this connection.
    static func prepareFile(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        let id = try number(connection, "PRAGMA application_id")
        let pages = try number(connection, "PRAGMA page_count")
        let version = try number(connection, "PRAGMA user_version")
        if pages == 0 {
            try connection.execute(
                "PRAGMA application_id = \(applicationID); PRAGMA user_version = \(layoutVersion)")
        } else if id != applicationID || version != layoutVersion {
            throw SQLiteFailure(
                code: SQLITE_NOTADB, message: "not a database of this application and version",
                file: connection.path)
        }
        // With NORMAL, SQLite fsyncs only at checkpoints. A power failure may lose the last commits, and the node
        // executes those blocks again from its log.
        try connection.execute(
            """
            PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
            PRAGMA journal_size_limit = \(ExecutionLimits.walPages * 4_096)
            """)
        try reserveModules(connection)
    }

    /// Reserves the names of SQLite's built-in virtual tables in the connection's policy.
    static func reserveModules(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        let modules = try connection.prepare("SELECT name FROM pragma_module_list")
        var names: Set<RawText> = []
        while try modules.step() { names.insert(modules.rawText(0).foldedASCII) }
        // These two read only their argument and are allowed. Their first use in a connection looks like a schema
        // change to the policy, so use them here.
        _ = try connection.prepare("SELECT 1 FROM json_each('[]'), json_tree('[]')")
        connection.policy.reservedModules = names.subtracting(["json_each", "json_tree"])
    }

    /// Returns the stored state; nil in a new database.
    static func load(_ connection: SQLiteConnection) throws(SQLiteFailure) -> StoredState? {
        let found = try number(connection, "SELECT count(*) FROM sqlite_master WHERE name = 'apus_state'")
        guard found == 1 else { return nil }
        let row = try connection.prepare("SELECT height, app_hash, genesis_hash, db_owner FROM apus_state")
        guard try row.step(), let appHash = try? Hash(row.bytes(1)), let genesisHash = try? Hash(row.bytes(2))
        else {
            throw SQLiteFailure(
                code: SQLITE_CORRUPT, message: "apus_state cannot be read", file: connection.path)
        }
        return StoredState(
            tip: ApplicationTip(height: row.int(0), appHash: appHash), genesisHash: genesisHash,
            owner: AccountID(text: row.text(3)))
    }

    /// Creates the tables and rows of a genesis, all or nothing.
    static func create(_ genesis: Genesis, in connection: SQLiteConnection) throws(SQLiteFailure)
        -> StoredState
    {
        try connection.execute("BEGIN IMMEDIATE")
        do throws(SQLiteFailure) {
            try connection.execute(
                """
                CREATE TABLE apus_state (
                    id INTEGER PRIMARY KEY CHECK (id = 1), genesis_hash BLOB NOT NULL, db_owner TEXT NOT NULL,
                    height INTEGER NOT NULL, block_hash BLOB NOT NULL, app_hash BLOB NOT NULL);
                CREATE TABLE apus_accounts (
                    identifier BLOB NOT NULL, key_type INTEGER NOT NULL, balance TEXT NOT NULL, nonce INTEGER NOT NULL,
                    PRIMARY KEY (identifier, key_type)) WITHOUT ROWID;
                CREATE TABLE \(StatementPolicy.grantsTable) (
                    identifier TEXT COLLATE NOCASE NOT NULL PRIMARY KEY) WITHOUT ROWID;
                \(ValidatorTable.schema)
                """)
            let state = StoredState(
                tip: ApplicationTip(height: genesis.initialHeight, appHash: .zero), genesisHash: genesis.hash,
                owner: genesis.databaseOwnerAccount)
            let row = try connection.prepare("INSERT INTO apus_state VALUES (1, ?, ?, ?, ?, ?)")
            try row.bind(1, state.genesisHash)
            try row.bind(2, state.owner?.description ?? "")
            try row.bind(3, state.tip.height)
            try row.bind(4, Hash.zero)
            try row.bind(5, state.tip.appHash)
            try row.run()
            let control = try ControlStatements(connection)
            for allocation in genesis.allocations {
                try control.write(Account(balance: allocation.amount), of: allocation.account)
            }
            try connection.execute("COMMIT")
            return state
        } catch {
            if !connection.isAutocommit { try? connection.execute("ROLLBACK") }
            throw error
        }
    }

    private static func number(_ connection: SQLiteConnection, _ sql: String) throws(SQLiteFailure) -> Int {
        let statement = try connection.prepare(sql)
        guard try statement.step() else { return 0 }
        return Int(statement.int(0))
    }
}

/// The node's own statements, each prepared once.
struct ControlStatements {
    let begin, commit, savepoint, release, rollbackToSavepoint: SQLiteStatement
    /// Writes the pending validator requests.
    let requests: ValidatorTable
    private let readAccount: AccountReader
    private let writeAccount, readGrant, writeTip: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        func prepare(_ sql: String) throws(SQLiteFailure) -> SQLiteStatement {
            try connection.prepare(sql, isPersistent: true)
        }
        begin = try prepare("BEGIN IMMEDIATE")
        commit = try prepare("COMMIT")
        savepoint = try prepare("SAVEPOINT apus_transaction")
        release = try prepare("RELEASE apus_transaction")
        rollbackToSavepoint = try prepare("ROLLBACK TO apus_transaction")
        requests = try ValidatorTable(connection)
        readAccount = try AccountReader(connection)
        writeAccount = try prepare(
            """
            INSERT INTO apus_accounts VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT DO UPDATE SET balance = ?3, nonce = ?4
            """)
        readGrant = try prepare("SELECT 1 FROM \(StatementPolicy.grantsTable) WHERE identifier IN (?, ?, ?)")
        writeTip = try prepare("UPDATE apus_state SET height = ?, app_hash = ?, block_hash = ?")
    }

    func account(_ id: AccountID) throws(SQLiteFailure) -> Account? { try readAccount.account(id) }

    func write(_ account: Account, of id: AccountID) throws(SQLiteFailure) {
        try writeAccount.bind(1, id.identifier)
        try writeAccount.bind(2, Int64(id.keyType.rawValue))
        try writeAccount.bind(3, account.balance.description)
        try writeAccount.bind(4, Int64(bitPattern: account.nonce))
        try writeAccount.run()
    }

    func write(_ tip: ApplicationTip, _ blockHash: Hash) throws(SQLiteFailure) {
        try writeTip.bind(1, tip.height)
        try writeTip.bind(2, tip.appHash)
        try writeTip.bind(3, blockHash)
        try writeTip.run()
    }

    /// Returns whether the table of grants contains the account, in any notation.
    func isGranted(_ id: AccountID) throws(SQLiteFailure) -> Bool {
        let hex = Hex.encode(id.identifier)
        defer { readGrant.reset() }
        try readGrant.bind(1, id.description)
        try readGrant.bind(2, hex)
        try readGrant.bind(3, id.identifier.count == 20 ? "0x" + hex : hex)
        return try readGrant.step()
    }
}

/// Reads accounts with a statement that is prepared once.
struct AccountReader {
    private let statement: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        statement = try connection.prepare(
            "SELECT balance, nonce FROM apus_accounts WHERE identifier = ? AND key_type = ?",
            isPersistent: true)
    }

    func account(_ id: AccountID) throws(SQLiteFailure) -> Account? {
        defer { statement.reset() }
        try statement.bind(1, id.identifier)
        try statement.bind(2, Int64(id.keyType.rawValue))
        guard try statement.step() else { return nil }
        return Account(
            balance: Amount(statement.text(0)) ?? .zero, nonce: UInt64(bitPattern: statement.int(1)))
    }
}
