import Bytes
import Chain
import Testing

@testable import Node

/// What a block costs on its way: every transaction is hashed once where it arrives and once in a block, and the body is copied by
/// the cipher alone (docs/architecture.md, "Path of a block").
@Suite(.timeLimit(.minutes(5))) struct BlockPathTests {
    /// The transactions' bytes: 8 times 128 KiB.
    private static let (count, size) = (8, 128 << 10)

    /// In a process of its own: the counts are the process's.
    @Test func bytesAreHashedOnceAndCopiedByTheCipherAlone() async throws {
        await #expect(processExitsWith: .success) {
            try await LocalNetwork.run(validators: 1, sentries: 2) { network in
                for name in ["leader", "validator-1", "sentry-1"] { try await Self.start(name, network) }
                try await network.connected()
                let leader = try network.node("leader")
                var transactions: [Transaction] = []
                for number in 0..<Self.count {
                    transactions.append(try network.transaction("SELECT '\(String(repeating: "\(number)", count: Self.size))'"))
                }
                let signed = PathMeter.counts
                _ = await leader.broadcast(transactions.map(\.bytes))
                try await Self.wait(network, ["leader", "validator-1", "sentry-1"])
                Self.check("three nodes, live", signed, hashed: 5, copied: 6)

                let synced = PathMeter.counts
                try await Self.start("sentry-2", network)
                try await Self.wait(network, ["sentry-2"])
                Self.check("one node syncs", synced, hashed: 1, copied: 1)
            }
        }
    }

    private static func start(_ name: String, _ network: LocalNetwork) async throws {
        try await network.start(name) {
            $0.execution.application = "noop"
            $0.consensus.proposeTimeout = .milliseconds(500)
        }
    }

    private static func wait(_ network: LocalNetwork, _ names: [String]) async throws {
        for name in names {
            let node = try network.node(name)
            try await LocalNetwork.wait {
                await node.status().transactionCount == UInt64(Self.count) ? nil : "\(name) lacks transactions"
            }
        }
    }

    /// Holds what was hashed and copied since `before` against multiples of the body, with an eighth for all that is not body.
    private static func check(
        _ path: String, _ before: (copied: Int, hashed: Int), hashed: Double, copied: Double
    ) {
        let (now, body) = (PathMeter.counts, Double(count * size))
        let hashes = Double(now.hashed - before.hashed) / body
        let copies = Double(now.copied - before.copied) / body
        let found = Comment(rawValue: "\(path): \(hashes) hashes and \(copies) copies of a byte of the body")
        #expect(hashes <= hashed + 0.125, found)
        #expect(copies <= copied + 0.125, found)
    }
}
