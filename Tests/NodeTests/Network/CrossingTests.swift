import Chain
import Reactor
import Testing

@testable import Node

/// Requests to the node from another loop, as the HTTP server makes them.
@Suite(.serialized) struct CrossingTests {
    @Test func aNodeIsAskedFromAnotherLoop() async throws {
        try await LocalNetwork.run(validators: 0, sentries: 0) { network in
            let node = try await network.start("leader")
            let home = await node.status().reactor
            // Work run on the caller's loop would name the driver of that loop.
            let other = try EventLoop.start(home.hasPrefix("io_uring") ? .epoll : .auto, name: "test-other")
            defer { other.stop() }
            let created = try network.transaction(LocalNetwork.createTable)
            let waited = try network.transaction("INSERT INTO t (id) VALUES (1)")
            try await other.run {
                #expect(await node.status().reactor == home)
                #expect(EventLoop.current === other)
                let outcome = try await node.broadcast(created.bytes, waitForCommit: true)
                #expect(outcome.result != nil)
                #expect(EventLoop.current === other)
                // Writes are visible at once although snapshots are cached.
                let height = await node.status().height
                #expect(await node.network().height == height && height > 0)
                #expect(await node.status().height == height)
                _ = try await node.broadcast(waited.bytes, waitForCommit: true)
                #expect(await node.status().transactionCount == 2)
                #expect(await node.network().height > height)
                #expect(try await node.transaction(created.id)?.height == height)
                #expect(EventLoop.current === other)
                #expect(try await node.block(at: height)?.height == height)
                #expect(await node.unconfirmed(limit: 10).isEmpty)
                #expect(try await node.validatorRequests().isEmpty)
                #expect(try await node.query("SELECT 1", [], .long).rows.count == 1)
                #expect(EventLoop.current === other)
            }
        }
    }

    /// Many concurrent requests while blocks are made.
    @Test func aCrowdAsksFromAnotherLoop() async throws {
        try await LocalNetwork.run(validators: 0, sentries: 0) { network in
            let node = try await network.start("leader")
            let other = try EventLoop.start(.auto, name: "test-other")
            defer { other.stop() }
            _ = try await network.commit(LocalNetwork.createTable, at: "leader")
            let transactions = try (0..<100).map {
                try network.transaction("INSERT INTO t (id) VALUES (\($0))")
            }
            try await other.run {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for transaction in transactions {
                        group.addTask {
                            let outcome = try await node.broadcast(transaction.bytes, waitForCommit: true)
                            #expect(outcome.id == transaction.id && outcome.result != nil)
                            #expect(EventLoop.current === other)
                        }
                        group.addTask {
                            for _ in 0..<20 { _ = (await node.status(), await node.network()) }
                            _ = try await node.transaction(transaction.id)
                            #expect(EventLoop.current === other)
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(await node.status().transactionCount == 101)
            }
        }
    }
}
