import API
import Arguments
import Bytes
import Chain
import Crypto
import Execution

/// The proof that every node of a test network holds the same data: the state of each node's own database and log after
/// the last commit, compared with the input.
struct TestnetProof: Sendable {
    struct Standing: Sendable {
        let name: String
        let role: String
        let height: Int64
        let blockHash: String
        let appHash: String
        let rowCount: Int
        let rowDigest: String
        let residentKiB: Int
        let peakKiB: Int
        let cpuSeconds: Double
    }

    let standings: [Standing]
    let expectedRows: Int
    let expectedDigest: String
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
        expectedDigest = table.digest.description
        var standings: [Standing] = []
        for node in nodes {
            let client = try RPCClient(node.rpcAddress, timeout: .seconds(60))
            let (count, digest) = try await Self.rows(of: table, client)
            let status = try await client.status()
            let usage = node.usage
            standings.append(
                Standing(
                    name: node.name, role: status.role, height: status.height, blockHash: status.blockHash,
                    appHash: status.appHash, rowCount: count, rowDigest: digest,
                    residentKiB: usage?.residentKiB ?? 0, peakKiB: usage?.peakKiB ?? 0,
                    cpuSeconds: usage?.cpuSeconds ?? 0))
            await client.close()
        }
        self.standings = standings
    }

    private static func rows(of table: RecordTable, _ client: RPCClient) async throws -> (Int, String) {
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
            guard result.rows.count == page else { return (count, digest.finalize().description) }
        }
    }

    /// The differences, one line each; empty if everything agrees.
    var differences: [String] {
        guard let first = standings.first else { return ["the network has no nodes"] }
        var lines: [String] = []
        for standing in standings {
            func compare(_ name: String, _ value: String, _ expected: String, _ owner: String) {
                guard value != expected else { return }
                lines.append("\(standing.name): \(name) is \(value), but \(owner) is \(expected)")
            }
            compare("row count", "\(standing.rowCount)", "\(expectedRows)", "the input's")
            compare("SHA-256 of the rows", standing.rowDigest, expectedDigest, "the input's")
            compare("height", "\(standing.height)", "\(first.height)", "\(first.name)'s")
            compare("block hash", standing.blockHash, first.blockHash, "\(first.name)'s")
            compare("app hash", standing.appHash, first.appHash, "\(first.name)'s")
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
            let cells = [
                standing.name, standing.role, "\(standing.height)", "\(standing.rowCount)",
                "\(standing.residentKiB / 1024) MiB", "\(standing.peakKiB / 1024) MiB",
                "\(DecimalText.text(standing.cpuSeconds, places: 1)) s",
            ]
            lines.append(cells.columns(widths))
        }
        if differences.isEmpty, let first = standings.first {
            lines += [
                "", "All \(standings.count) nodes agree with each other and with the input:",
                "  rows              \(first.rowCount)", "  SHA-256 of rows   \(first.rowDigest)",
                "  block hash        \(first.blockHash) at height \(first.height)",
                "  app hash          \(first.appHash)",
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
