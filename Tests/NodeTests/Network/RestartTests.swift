import Bytes
import Chain
import Crypto
import TestSupport
import Testing

@testable import Node

@Suite(.serialized) struct RestartTests {
    @Test(arguments: ["validator-1", "validator-2"])
    func aRestartedValidatorCatchesUp(_ name: String) async throws {
        try await LocalNetwork.run { network in
            try await network.startAll(withTableAt: "leader")
            await network.stop(name)
            // Two of three validators are a quorum, so blocks continue.
            for row in 0..<5 {
                try await network.insert(Int64(row)..<Int64(row + 1), at: "leader")
                try await committed(row + 1, on: network, at: "leader")
            }
            try await network.start(name)
            try await network.agree(rows: 5)
            try await network.insert(5..<20, at: name)
            try await network.agree(rows: 20)
        }
    }

    @Test func aRestartedLeaderGoesOn() async throws {
        try await LocalNetwork.run { network in
            try await network.startAll(withTableAt: "sentry-1")
            try await network.insert(0..<10, at: "sentry-1")
            try await network.agree(rows: 10)
            await network.stop("leader")
            // Transactions wait while there is no leader.
            try await network.insert(10..<15, at: "sentry-1")
            try await network.start("leader")
            try await network.connected()
            try await network.insert(15..<20, at: "sentry-1")
            try await network.agree(rows: 20)
        }
    }

    /// Nodes stopped while blocks are made, and still referenced, hold no files or locks of their databases.
    @Test func stoppedNodesHaveClosedTheirDatabases() async throws {
        try await LocalNetwork.run { network in
            try await network.startAll(withTableAt: "sentry-1")
            try await network.insert(0..<50, at: "sentry-1")
            for name in network.names {
                let node = try network.node(name)
                await network.stop(name)
                let log = "\(network.root(name).applicationDirectory)/application.sqlite-wal"
                #expect(!TestFile.exists(log), "\(name)")
                await #expect(throws: NodeError.self) { try await node.query("SELECT 1", [], .long) }
            }
        }
    }

    @Test func aLeaderStoppedWithFullHandsLosesNothing() async throws {
        try await LocalNetwork.run { network in
            try await network.startAll(withTableAt: "sentry-1")
            for round in 0..<3 {
                let first = Int64(round * 50)
                try await network.insert(first..<(first + 50), at: "sentry-1")
                await network.stop("leader")
                try await network.start("leader")
            }
            try await network.agree(rows: 150)
        }
    }

    @Test func aLateSentryGetsEveryBlock() async throws {
        try await LocalNetwork.run { network in
            for name in network.names.dropLast() { try await network.start(name) }
            try await network.connected()
            try await network.commit(LocalNetwork.createTable, at: "leader")
            for row in 0..<30 {
                try await network.insert(Int64(row)..<Int64(row + 1), at: "leader")
                try await committed(row + 1, on: network, at: "leader")
            }
            let sentry = try await network.start("sentry-1")
            try await network.agree(rows: 30)
            let leader = try network.node("leader")
            let height = await leader.status().height
            #expect(height >= 30)
            for height in 1...height {
                let theirs = try #require(try await leader.block(at: height))
                let ours = try #require(try await sentry.block(at: height))
                #expect(theirs.block == ours.block)
                #expect(try theirs.results() == ours.results())
            }
        }
    }

    @Test func aWholeNetworkStartsAgain() async throws {
        try await LocalNetwork.run { network in
            try await network.startAll(withTableAt: "sentry-1")
            try await network.insert(0..<10, at: "sentry-1")
            try await network.agree(rows: 10)
            let before = await (try network.node("leader")).status()
            for name in network.names { await network.stop(name) }
            try await network.startAll()
            try await network.agree(rows: 10)
            let after = await (try network.node("leader")).status()
            #expect(after.height == before.height)
            #expect(after.blockHash == before.blockHash)
            #expect(after.transactionCount == before.transactionCount)
            try await network.insert(10..<20, at: "sentry-1")
            try await network.agree(rows: 20)
        }
    }

    /// Waits until a node's table has `count` rows.
    private func committed(_ count: Int, on network: LocalNetwork, at name: String) async throws {
        try await LocalNetwork.wait {
            let rows = try await network.node(name).query("SELECT count(*) FROM t", [], .long).rows
            return rows == [[.int8(Int64(count))]] ? nil : "\(name) has \(rows) rows, not \(count)"
        }
    }
}
