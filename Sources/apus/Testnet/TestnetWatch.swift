import API
import Synchronization

/// Asks every node of a test network for its status, again and again.
final class TestnetWatch: Sendable {
    struct Row: Sendable {
        let node: NodeProcess
        var status: StatusResult?
        var transactionsPerSecond = 0.0

        var committed: UInt64 { status?.transactions ?? 0 }
    }

    private static let interval = Duration.milliseconds(500)
    /// Nodes that are not connected to each other by then are not going to be.
    private static let startTimeout = Duration.seconds(60)
    /// A network that commits nothing for so long while transactions wait has failed.
    private static let stallTimeout = Duration.seconds(60)

    private let nodes: [NodeProcess]
    private let clients: [RPCClient]
    private let lastChange = Mutex<ContinuousClock.Instant?>(nil)

    init(_ nodes: [NodeProcess]) throws {
        self.nodes = nodes
        clients = try nodes.map { try RPCClient($0.rpcAddress, timeout: .seconds(20)) }
    }

    /// One look at all nodes; throws if a process has ended.
    func look() async throws -> [Row] {
        for node in nodes {
            if let ending = node.ending {
                throw Testnet.Failure("\(node.name) \(ending):\n\(node.logTail())")
            }
        }
        return await withTaskGroup(of: (Int, StatusResult?).self) { group in
            for (index, client) in clients.enumerated() {
                group.addTask { (index, try? await client.status()) }
            }
            var rows = nodes.map { Row(node: $0) }
            for await (index, status) in group { rows[index].status = status }
            return rows
        }
    }

    /// Waits until every node answers and has a peer.
    func waitUntilConnected() async throws {
        let deadline = ContinuousClock.now.advanced(by: Self.startTimeout)
        while true {
            let rows = try await look()
            if rows.allSatisfy({ ($0.status?.peers ?? 0) > 0 }) || nodes.count == 1 { return }
            guard ContinuousClock.now < deadline else {
                let missing = rows.filter { ($0.status?.peers ?? 0) == 0 }.map(\.node.name)
                throw Testnet.Failure(
                    "no peers within \(Self.startTimeout): \(missing.joined(separator: ", "))")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Transactions that the slowest node has committed.
    func committed() async -> UInt64 {
        (try? await look())?.map(\.committed).min() ?? 0
    }

    /// Seconds from `start` to when the slowest node was first seen with everything committed.
    func lastCommitSeconds(since start: ContinuousClock.Instant) async -> Double? {
        lastChange.withLock { $0 }.map { Double(($0 - start) / .milliseconds(1)) / 1000 }
    }

    /// Looks until every node has committed `target` transactions, handing each look to `show`.
    func follow(until target: UInt64, _ show: ([Row]) -> Void) async throws {
        var last: [UInt64] = []
        var lastTime = ContinuousClock.now
        var lastProgress = lastTime
        while true {
            var rows = try await look()
            let now = ContinuousClock.now
            let seconds = Double((now - lastTime) / .microseconds(1)) / 1_000_000
            let counts = rows.map(\.committed)
            for index in rows.indices where last.count == rows.count && seconds > 0 {
                rows[index].transactionsPerSecond =
                    Double(counts[index] &- min(last[index], counts[index])) / seconds
            }
            if counts != last { lastProgress = now }
            (last, lastTime) = (counts, now)
            show(rows)
            if counts.allSatisfy({ $0 >= target }) {
                lastChange.withLock { $0 = now }
                return
            }
            guard now - lastProgress < Self.stallTimeout else {
                let standing = rows.map { "\($0.node.name) \($0.committed)" }.joined(separator: ", ")
                throw Testnet.Failure(
                    "nothing was committed for \(Self.stallTimeout) (\(standing) of \(target) transactions)")
            }
            try await Task.sleep(for: Self.interval)
        }
    }
}
