import Chain
import Metrics
import Testing

@testable import Node

@Suite(.serialized) struct NodeMetricsTests {
    /// Returns the value of a sample.
    private func value(_ sample: String, of node: Node) async throws -> Int {
        let text = String(decoding: await node.metrics(), as: UTF8.self)
        let line = try #require(
            text.split(separator: "\n").first { $0.hasPrefix("\(sample) ") }, "no \(sample)")
        return try #require(Int(line.split(separator: " ")[1]))
    }

    @Test func metricsAgreeWithTheChain() async throws {
        try await LocalNetwork.run(validators: 1) { network in
            try await network.startAll(withTableAt: "sentry-1")
            try await network.insert(0..<10, at: "sentry-1")
            let bad = try await network.commit("INSERT INTO none VALUES (1)", at: "sentry-1")
            #expect(bad?.code != 0)
            try await network.agree(rows: 10)
            for name in network.names {
                let node = try network.node(name)
                let status = await node.status()
                let height = Int(status.height)
                #expect(try await value("apus_height", of: node) == height)
                #expect(try await value("apus_blocks_committed_total", of: node) == height)
                let (ok, failed) = ("{result=\"ok\"}", "{result=\"failed\"}")
                #expect(try await value("apus_transactions_committed_total\(ok)", of: node) == 11)
                #expect(try await value("apus_transactions_committed_total\(failed)", of: node) == 1)
                #expect(try await value("apus_block_execution_seconds_count", of: node) >= height)
                #expect(try await value("apus_application_commit_seconds_count", of: node) == height)
                // Each block is made durable in the log before anything else.
                #expect(try await value("apus_fsync_seconds_count", of: node) >= height)
                #expect(try await value("apus_role{role=\"\(status.role.rawValue)\"}", of: node) == 1)
                #expect(try await value("apus_validators", of: node) == 2)
                #expect(try await value("apus_mempool_transactions", of: node) == 0)
                #expect(try await value("apus_mempool_accepted_total", of: node) >= 12)
                var peers = 0
                for direction in ["inbound", "outbound"] {
                    for role in RoleName.allCases {
                        let labels = "{direction=\"\(direction)\",role=\"\(role.rawValue)\"}"
                        peers += try await value("apus_peers\(labels)", of: node)
                    }
                }
                #expect(peers == status.peerCount)
            }
            let (leader, validator) = (try network.node("leader"), try network.node("validator-1"))
            let height = try await value("apus_height", of: leader)
            #expect(try await value("apus_votes_received_total{answer=\"ack\"}", of: leader) >= height)
            #expect(try await value("apus_votes_sent_total{answer=\"ack\"}", of: validator) >= height)
            let blocks = "{protocol=\"/apus/blkprop/1.0.0\",class=\"blocks\"}"
            #expect(try await value("apus_streams_served_total\(blocks)", of: validator) >= height)
        }
    }

    @Test func refusalsOfTheMempoolHaveReasons() async throws {
        try await LocalNetwork.run(validators: 0, sentries: 0) { network in
            let node = try await network.start("leader")
            let transaction = try network.transaction(LocalNetwork.createTable)
            _ = try await node.broadcast(transaction.bytes, waitForCommit: true)
            await #expect(throws: NodeError.self) {
                try await node.broadcast(transaction.bytes, waitForCommit: false)
            }
            #expect(try await value("apus_mempool_accepted_total", of: node) == 1)
            #expect(try await value("apus_mempool_refused_total{reason=\"duplicate\"}", of: node) == 1)
            #expect(try await value("apus_mempool_refused_total{reason=\"nonce\"}", of: node) == 0)
        }
    }
}
