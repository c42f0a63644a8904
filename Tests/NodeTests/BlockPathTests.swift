import Bytes
import Chain
import Collections
import Testing

@testable import Node

/// What a transaction's bytes cost on their way through nodes (docs/architecture.md, "Path of a block").
@Suite(.timeLimit(.minutes(5))) struct BlockPathTests {
    /// The transactions: 8 times 128 KiB that cannot be compressed.
    private static let (count, size) = (8, 128 << 10)

    /// Every node hashes a transaction for its ID and for its signature when it arrives, and a sentry for its ID once more in a
    /// block: seven hashes at a leader, a validator and a sentry. A node that syncs hashes it for its ID and its signature. Copies
    /// beside the cipher's come about where bytes arrive before they are read; how many, chance decides.
    ///
    /// On a busy machine a node asks another peer for what does not come in time, so the best of three networks counts. In a
    /// process of its own, because the counts are the process's.
    @Test func bytesAreHashedOnceForEachPurpose() async throws {
        await #expect(processExitsWith: .success) {
            var excesses: [String] = []
            for _ in 0..<3 {
                excesses = try await Self.excesses()
                if excesses.isEmpty { break }
            }
            #expect(excesses == [])
        }
    }

    /// Sends the transactions through a new network. Returns what was hashed or copied more often than it should be.
    private static func excesses() async throws -> [String] {
        try await LocalNetwork.run(validators: 1, sentries: 2) { network in
            let live = ["leader", "validator-1", "sentry-1"]
            for name in live { try await start(name, network) }
            try await network.connected()
            var random = SeededGenerator(seed: 1)
            let transactions = try (0..<count).map { _ in
                let digits = (0..<size).map { _ in random.hexDigit() }
                return try network.transaction("SELECT '\(String(decoding: digits, as: UTF8.self))'")
            }
            var before = PathMeter.counts
            _ = try await network.node("leader").broadcast(transactions.map(\.bytes), waitForCommit: false)
            try await wait(network, live)
            let relayed = excess("three nodes, live", before, hashed: 7, copied: 32)

            before = PathMeter.counts
            try await start("sentry-2", network)
            try await wait(network, ["sentry-2"])
            let synced = excess("one node syncs", before, hashed: 2, copied: 4)
            return [relayed, synced].compactMap { $0 }
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
                let count = await node.status().transactionCount
                return count == UInt64(Self.count) ? nil : "\(name) has \(count) transactions"
            }
        }
    }

    /// Compares what was hashed and copied since `before` with multiples of the body, and an eighth for all that is not body.
    private static func excess(
        _ path: String, _ before: (copied: Int, hashed: Int), hashed: Double, copied: Double
    ) -> String? {
        let (now, body) = (PathMeter.counts, Double(count * size))
        let hashes = Double(now.hashed - before.hashed) / body
        let copies = Double(now.copied - before.copied) / body
        guard hashes > hashed + 0.125 || copies > copied + 0.125 else { return nil }
        return "\(path): \(hashes) hashes and \(copies) copies of a byte of the body"
    }
}

extension SeededGenerator {
    fileprivate mutating func hexDigit() -> UInt8 { Array("0123456789abcdef".utf8)[Int(next() % 16)] }
}
