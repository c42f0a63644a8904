import API
import Arguments
import Bytes
import Chain
import Crypto
import Execution
import Node

/// The proof that every node of a test network holds the same data: the state of each node's own database and log after
/// the last commit, compared with the input.
struct TestnetProof: Sendable {
    struct Standing: Sendable {
        let name: String
        let rpcAddress: String
        let status: NodeStatus
        let rowCount: Int
        let rowDigest: Hash
        let usage: NodeProcess.Usage
    }

    let standings: [Standing]
    /// How long the stages of blocks took.
    let stages: TestnetStages
    let expectedRows: Int
    let expectedDigest: Hash
    let transactions: Int
    let seconds: Double

    /// The maximum number of rows in a query's result.
    private static let pageRows = 2_000
    /// The maximum size of a query's cells, in bytes, unless a single row is larger. A query returns up to 32 MiB, and
    /// JSON may take six bytes for one.
    private static let pageBytes = QueryLimits().bytes / 4

    init(nodes: [NodeProcess], table: RecordTable, transactions: Int, seconds: Double) async throws {
        self.transactions = transactions
        self.seconds = seconds
        expectedRows = table.records.rows.count
        expectedDigest = table.digest
        var standings: [Standing] = []
        var stages = TestnetStages()
        for node in nodes {
            let client = try RPCClient(node.rpcAddress, timeout: .seconds(60))
            stages.add(try await client.stageHistograms(), of: node.role)
            let (count, digest) = try await Self.rows(of: table, client)
            standings.append(
                Standing(
                    name: node.name, rpcAddress: node.rpcAddress, status: try await client.status(),
                    rowCount: count, rowDigest: digest, usage: node.usage ?? (0, 0, 0)))
            await client.close()
        }
        self.standings = standings
        self.stages = stages
    }

    private static func rows(of table: RecordTable, _ client: RPCClient) async throws -> (Int, Hash) {
        var digest = RecordTable.Digest()
        var count = 0
        var last: Int64 = 0
        let page = min(pageRows, max(1, pageBytes / max(1, table.largestRow)))
        while true {
            let result = try await client.query(
                "SELECT * FROM \(table.name) WHERE line > $after ORDER BY line LIMIT \(page)",
                [RawStatement.Parameter("$after", .int8(last))])
            for row in result.rows {
                guard case .int8(let line)? = row.first?.scalar else {
                    throw CommandFailure("a row of \(table.name) has no line number")
                }
                digest.add(line: line, row.dropFirst().map(Records.Cell.init))
                last = line
            }
            count += result.rows.count
            guard result.rows.count == page else { return (count, digest.finalize()) }
        }
    }

    /// The differences, one line each; empty if everything agrees.
    var differences: [String] {
        guard let first = standings.first else { return ["the network has no nodes"] }
        var lines: [String] = []
        for standing in standings {
            func compare<T: Equatable>(_ name: String, _ value: T, _ expected: T, _ owner: String) {
                guard value != expected else { return }
                lines.append("\(standing.name): \(name) is \(value), but \(owner) is \(expected)")
            }
            let (status, other) = (standing.status, first.status)
            compare("row count", standing.rowCount, expectedRows, "the input's")
            compare("SHA-256 of the rows", standing.rowDigest, expectedDigest, "the input's")
            compare("height", status.height, other.height, "\(first.name)'s")
            compare("block hash", status.blockHash, other.blockHash, "\(first.name)'s")
            compare("app hash", status.appHash, other.appHash, "\(first.name)'s")
        }
        return lines
    }

    /// The proof as text, with the resources that each process used.
    var report: String {
        let widths = [14, 11, 8, 8, 10, 10]
        let rate = DecimalText.text(seconds > 0 ? Double(transactions) / seconds : 0, places: 0)
        var lines = [
            "\(transactions) transactions from first submit to last commit in "
                + "\(DecimalText.text(seconds, places: 1)) s: \(rate) tx/s",
            "",
            ["node", "role", "height", "rows", "memory", "peak", "cpu"].columns(widths),
        ]
        for standing in standings {
            let (status, usage) = (standing.status, standing.usage)
            let cells = [
                standing.name, status.role.rawValue, "\(status.height)", "\(standing.rowCount)",
                "\(usage.residentKiB / 1024) MiB", "\(usage.peakKiB / 1024) MiB",
                "\(DecimalText.text(usage.cpuSeconds, places: 1)) s",
            ]
            lines.append(cells.columns(widths))
        }
        lines += [""] + stages.lines
        if differences.isEmpty, let first = standings.first {
            lines += [
                "", "All \(standings.count) nodes agree with each other and with the input:",
                "  rows              \(first.rowCount)", "  SHA-256 of rows   \(first.rowDigest)",
                "  block hash        \(first.status.blockHash) at height \(first.status.height)",
                "  app hash          \(first.status.appHash)",
            ]
        }
        return lines.joined(separator: "\n")
    }
}

extension Records.Cell {
    /// Creates the cell for a value of a query's result. The table has only text and integers.
    fileprivate init(_ value: Value) {
        switch value.scalar {
        case .text(let text), .numeric(let text): self = .text(text)
        case .int8(let number): self = .integer(number)
        case .bool(let flag): self = .text(flag ? "true" : "false")
        case .bytea(let bytes), .uuid(let bytes): self = .text(Hex.encode(bytes))
        case .null, nil: self = .null
        }
    }
}
