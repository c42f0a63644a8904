import Chain
import Crypto
import Node
import Reactor

extension Scenario {
    /// Results and costs of single SQL statements, which must be the same on every machine.
    static let statements: [Scenario] = [
        Scenario(
            "statement-costs",
            "Statements whose work, rows or memory only their cost limits fail alike on all machines, at once.",
            options: {
                $0.execution = .sql
                $0.clients = 0
                $0.validators = 3
                $0.sentries = 1
                $0.blockInterval = .seconds(1)
            }
        ) { world in
            try await world.grow(1)
            try await world.run(StatementCase.all, from: 1)
            let ids = try await world.submit(
                StatementCase.overruns, from: UInt64(StatementCase.all.count + 1))
            try await world.expectCommitted(ids, within: .seconds(30))
            let heights = Set(ids.compactMap { world.chain.heights[$0] })
            try world.check(heights.count == 1, "statements that exceed their budget are in several blocks")
        },
        Scenario(
            "statement-history",
            "A machine that has just started, without cached views, creates a table as the others do.",
            options: {
                $0.execution = .sql
                $0.clients = 0
                $0.validators = 3
                $0.sentries = 2
            }
        ) { world in
            try await world.grow(1)
            let before = [
                StatementCase("CREATE VIEW va AS SELECT 1 AS x"),
                StatementCase("CREATE VIEW vb AS \(StatementCase.union(of: "va", times: 50))"),
                StatementCase("CREATE VIEW vc AS \(StatementCase.union(of: "vb", times: 20))"),
                // All machines cache the view's columns.
                StatementCase("INSERT INTO vc VALUES (1)", fails: "cannot modify vc"),
            ]
            try await world.run(before, from: 1)
            for machine in [world.nodes[2], world.nodes[4]] {
                try await world.expect("\(machine.name) is behind") { machine.committed == world.chain.tip }
                machine.kill()
                await world.start(machine)
            }
            let after = [
                StatementCase("CREATE TABLE u (id INTEGER PRIMARY KEY)"),
                StatementCase("INSERT INTO u VALUES (1)"),
            ]
            try await world.run(after, from: UInt64(before.count + 1))
        },
    ]
}

/// A statement of the owner's and its expected result.
private struct StatementCase {
    let sql: String
    /// The expected text of the result's log; nil for success.
    let failure: String?

    init(_ sql: String, fails failure: String? = nil) {
        self.sql = sql
        self.failure = failure
    }

    private static let overBudget = "costs more than its budget"

    /// Statements, each of which would succeed if its subject were neither counted nor refused.
    static let all = [
        StatementCase("CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE)"),
        // OR IGNORE can leave a state in SQLite's own table that makes it report a full disk.
        StatementCase("CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT)", fails: "AUTOINCREMENT"),
        // 14 expressions, each of which uses the previous one twice.
        StatementCase("WITH \(doubling(14)) SELECT x FROM v14", fails: "tokens"),
        // Values of 8 MB, each of which is allowed, but not all together.
        StatementCase(
            "INSERT INTO t VALUES \((1...12).map { "(\($0), length(hex(zeroblob(\(4_000_000 - $0)))))" }.joined(separator: ", "))",
            fails: "too big"),
        // One instruction that scans 8 MB, several times.
        StatementCase(
            "\(counting(to: 12)) SELECT sum(instr(hex(zeroblob(3999000 + i)), '1')) FROM c", fails: overBudget
        ),
        // Rows of a few bytes, with an index.
        StatementCase("\(counting(to: 90_000)) INSERT INTO t SELECT i, i FROM c", fails: overBudget),
        StatementCase("INSERT INTO t VALUES (1, 1)"),
    ]

    /// Statements that insert rows endlessly.
    static let overruns = (0..<3).map {
        "WITH RECURSIVE c(i) AS (SELECT \(1_000 + $0) UNION ALL SELECT i + 1 FROM c) INSERT INTO t SELECT i, i FROM c"
    }

    private static func counting(to count: Int) -> String {
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < \(count))"
    }

    private static func doubling(_ levels: Int) -> String {
        "v0(x) AS (SELECT 1), "
            + (1...levels).map {
                "v\($0)(x) AS (SELECT (SELECT x FROM v\($0 - 1)) + (SELECT x FROM v\($0 - 1)))"
            }
            .joined(separator: ", ")
    }

    /// Returns a query for all rows of a view, `count` times.
    static func union(of view: String, times count: Int) -> String {
        [String](repeating: "SELECT x FROM \(view)", count: count).joined(separator: " UNION ALL ")
    }
}

extension World {
    /// Sends the owner's statements at once to a validator; returns the transactions' IDs.
    fileprivate func submit(_ statements: [String], from nonce: UInt64) async throws -> [Hash] {
        var ids: [Hash] = []
        for (offset, sql) in statements.enumerated() {
            let transaction = try self.statement(sql, nonce: nonce + UInt64(offset))
            ids.append(try await validator().broadcast(transaction.bytes, waitForCommit: false).id)
        }
        return ids
    }

    /// Commits statements one after the other, and compares their results with the expected ones.
    fileprivate func run(_ statements: [StatementCase], from nonce: UInt64) async throws {
        for (offset, statement) in statements.enumerated() {
            try await run(statement, nonce: nonce + UInt64(offset))
        }
    }

    private func run(_ statement: StatementCase, nonce: UInt64) async throws {
        let transaction = try self.statement(statement.sql, nonce: nonce)
        let result: TransactionResult?
        do {
            result = try await validator().broadcast(transaction.bytes, waitForCommit: true).result
        } catch {
            throw CheckerFailure("scenario", "\(statement.sql.prefix(100)): \(error)")
        }
        let log = result?.log ?? "no result"
        let isExpected =
            if let failure = statement.failure { log.contains(failure) } else { result?.isOK == true }
        try check(isExpected, "\(statement.sql.prefix(100)): \(log.isEmpty ? "succeeds" : log)")
    }

    private func validator() throws -> Node {
        guard let node = nodes[1].node else { throw CheckerFailure("scenario", "\(nodes[1].name) is off") }
        return node
    }

    private func statement(_ sql: String, nonce: UInt64) throws -> Transaction {
        try Transaction.signed(
            TransactionBody(.rawStatement(RawStatement(sql)), nonce: nonce, chainID: genesis.chainID),
            by: owner)
    }
}
