import Chain
import Crypto
import Node
import Reactor

extension Scenario {
    /// What single SQL statements come to, and what they cost, on every machine alike.
    static let statements: [Scenario] = [
        Scenario(
            "statement-costs",
            "Statements whose work, rows or memory nothing but their cost bounds fail alike on all machines, at once.",
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
            try world.check(heights.count == 1, "statements beyond their budget split their block")
        },
        Scenario(
            "statement-history",
            "A machine that starts knows no views yet, and makes a table as those do that know them.",
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
                // All machines look at the view's columns.
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

/// A statement of the owner's and what must become of it.
private struct StatementCase {
    let sql: String
    /// What the result says; nil for success.
    let failure: String?

    init(_ sql: String, fails failure: String? = nil) {
        self.sql = sql
        self.failure = failure
    }

    private static let overBudget = "costs more than its budget"

    /// Each would succeed if what it is to show were neither counted nor refused.
    static let all = [
        StatementCase("CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE)"),
        // What OR IGNORE leaves in SQLite's own table makes it report a full disk.
        StatementCase("CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT)", fails: "AUTOINCREMENT"),
        // 14 expressions, each of which uses the one before twice.
        StatementCase("WITH \(doubling(14)) SELECT x FROM v14", fails: "tokens"),
        // Values of 8 MB, of which each is allowed and all together are not.
        StatementCase(
            "INSERT INTO t VALUES \((1...12).map { "(\($0), length(hex(zeroblob(\(4_000_000 - $0)))))" }.joined(separator: ", "))",
            fails: "too big"),
        // One instruction that looks at 8 MB, some times.
        StatementCase(
            "\(counting(to: 12)) SELECT sum(instr(hex(zeroblob(3999000 + i)), '1')) FROM c", fails: overBudget
        ),
        // Rows of a few bytes, with an index.
        StatementCase("\(counting(to: 90_000)) INSERT INTO t SELECT i, i FROM c", fails: overBudget),
        StatementCase("INSERT INTO t VALUES (1, 1)"),
    ]

    /// Each makes rows without end.
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

    /// So many times all rows of a view.
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

    /// Commits statements, one after the other, and compares the result of each with what must become of it.
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
