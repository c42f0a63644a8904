import API
import Arguments
import Node
import Reactor

/// Polls the status of every node of a test network.
final class TestnetWatch: Sendable {
    struct Row: Sendable {
        let node: NodeProcess
        var status: NodeStatus?
        var transactionsPerSecond = 0.0

        var committed: UInt64 { status?.transactionCount ?? 0 }
    }

    private static let interval = Duration.milliseconds(500)
    /// The maximum time for nodes to connect to each other.
    private static let startTimeout = Duration.seconds(60)
    /// The time without a commit, while transactions wait, after which the network has failed.
    private static let stallTimeout = Duration.seconds(60)

    private let nodes: [NodeProcess]
    private let clients: [RPCClient]

    init(_ nodes: [NodeProcess]) throws {
        self.nodes = nodes
        clients = try nodes.map { try RPCClient($0.rpcAddress, timeout: .seconds(20)) }
    }

    /// Polls all nodes once. Throws if a process has ended.
    func poll() async throws -> [Row] {
        for node in nodes {
            if let ending = node.ending {
                throw CommandFailure("\(node.name) \(ending):\n\(node.logTail())")
            }
        }
        return await withTaskGroup(of: (Int, NodeStatus?).self) { group in
            for (index, client) in clients.enumerated() {
                group.addTask { (index, try? await client.status()) }
            }
            var rows = nodes.map { Row(node: $0) }
            for await (index, status) in group { rows[index].status = status }
            return rows
        }
    }

    /// Waits until every node answers and has a peer. Throws after a minute.
    func waitUntilConnected() async throws {
        let deadline = ContinuousClock.now.advanced(by: Self.startTimeout)
        while true {
            let rows = try await poll()
            if rows.allSatisfy({ ($0.status?.peerCount ?? 0) > 0 }) || nodes.count == 1 { return }
            guard ContinuousClock.now < deadline else {
                let missing = rows.filter { ($0.status?.peerCount ?? 0) == 0 }.map(\.node.name)
                throw CommandFailure(
                    "no peers after \(Self.startTimeout): \(missing.joined(separator: ", "))")
            }
            try await Reactor.sleep(for: .milliseconds(100))
        }
    }

    /// Returns the number of transactions that the slowest node has committed.
    func committed() async -> UInt64 {
        (try? await poll())?.map(\.committed).min() ?? 0
    }

    /// Polls until every node has committed `target` transactions, and passes each result to `show`. Returns the time at
    /// which the slowest node was seen to have committed them.
    func follow(until target: UInt64, _ show: ([Row]) -> Void) async throws -> ContinuousClock.Instant {
        var last: [UInt64] = []
        var lastTime = ContinuousClock.now
        var lastProgress = lastTime
        while true {
            var rows = try await poll()
            let now = ContinuousClock.now
            let seconds = (now - lastTime) / .seconds(1)
            let counts = rows.map(\.committed)
            for index in rows.indices where last.count == rows.count && seconds > 0 {
                rows[index].transactionsPerSecond =
                    Double(counts[index] &- min(last[index], counts[index])) / seconds
            }
            if counts != last { lastProgress = now }
            (last, lastTime) = (counts, now)
            show(rows)
            if counts.allSatisfy({ $0 >= target }) { return now }
            guard now - lastProgress < Self.stallTimeout else {
                let standing = rows.map { "\($0.node.name) \($0.committed)" }.joined(separator: ", ")
                throw CommandFailure(
                    "no commit for \(Self.stallTimeout); of \(target) transactions: \(standing)")
            }
            try await Reactor.sleep(for: Self.interval)
        }
    }
}
