import Bytes
import Chain
import Collections
import Reactor
import Testing

@testable import Simulation

/// What a transaction's bytes cost on their way through nodes (docs/architecture.md, "Path of a block").
@Suite(.timeLimit(.minutes(5))) struct BlockPathTests {
    /// The transactions: 8 times 128 KiB that cannot be compressed.
    private static let (count, size) = (8, 128 << 10)

    /// Every node hashes a transaction for its ID and for its signature when it arrives, and a sentry for its ID once more in a
    /// block: seven hashes at a leader, a validator and a sentry. The simulator's checker adds one. A node that syncs hashes it
    /// for its ID and its signature. Copies beside the cipher's come about where bytes arrive before they are read.
    ///
    /// In a process of its own, because the counts are the process's. In the simulator, because on a busy machine nodes ask another
    /// peer for what does not come in time.
    @Test func bytesAreHashedOnceForEachPurpose() async throws {
        await #expect(processExitsWith: .success) {
            let options = Self.scenario.options(seed: 1)
            let report = Simulation.run(
                options, scenario: Self.scenario, directory: "/tmp/apus-block-path-tests")
            if let failure = report.failure { Issue.record("\(failure)") }
        }
    }

    private static let scenario = Scenario(
        "block-path", "Bytes are hashed once for each purpose.",
        options: {
            $0.validators = 2
            $0.clients = 0
            $0.blockInterval = .milliseconds(500)
        }
    ) { world in
        let late = world.nodes[3]
        late.kill()
        try await world.grow(1)
        var random = SeededGenerator(seed: 1)
        let transactions = try (0..<count).map { number in
            let digits = (0..<size).map { _ in random.hexDigit() }
            let statement = RawStatement("SELECT '\(String(decoding: digits, as: UTF8.self))'")
            let body = TransactionBody(
                .rawStatement(statement), nonce: UInt64(number + 1), chainID: world.genesis.chainID)
            return try Transaction.signed(body, by: world.owner)
        }
        var before = PathMeter.counts
        guard let leader = world.nodes[0].node else { throw CheckerFailure("scenario", "no leader") }
        _ = await leader.broadcast(transactions.map(\.bytes), waitForCommit: false)
        try await wait(for: Array(world.nodes.prefix(3)), in: world)
        try check("three nodes, live", before, hashed: 8, copied: 9)

        before = PathMeter.counts
        await world.start(late)
        try await wait(for: [late], in: world)
        try check("one node syncs", before, hashed: 2, copied: 1)
    }

    @ReactorActor private static func wait(for machines: [SimulatedNode], in world: World) async throws {
        for machine in machines {
            try await world.expect("\(machine.name) lacks transactions") {
                await machine.node?.status().transactionCount == UInt64(count)
            }
        }
    }

    /// Compares what was hashed and copied since `before` with multiples of the body, and an eighth for all that is not body.
    private static func check(
        _ path: String, _ before: (copied: Int, hashed: Int), hashed: Double, copied: Double
    ) throws {
        let (now, body) = (PathMeter.counts, Double(count * size))
        let hashes = Double(now.hashed - before.hashed) / body
        let copies = Double(now.copied - before.copied) / body
        guard hashes > hashed + 0.125 || copies > copied + 0.125 else { return }
        throw CheckerFailure(path, "\(hashes) hashes and \(copies) copies of a byte of the body")
    }
}

extension SeededGenerator {
    fileprivate mutating func hexDigit() -> UInt8 { Array("0123456789abcdef".utf8)[Int(next() % 16)] }
}
