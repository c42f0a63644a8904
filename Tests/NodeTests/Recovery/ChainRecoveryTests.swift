import Bytes
import Chain
import Crypto
import Execution
import TestSupport
import Testing

@testable import Node

@Suite(.serialized) struct ChainRecoveryTests {
    /// A chain of one validator with some rows, whose node is stopped.
    static func withChain(_ body: (LocalNetwork, NodeStatus) async throws -> Void) async throws {
        try await LocalNetwork.run(validators: 0, sentries: 0) { network in
            let node = try await network.start("leader")
            try await network.commit(LocalNetwork.createTable, at: "leader")
            for row in 0..<6 {
                try await network.commit("INSERT INTO t VALUES (\(row), 'row \(row)')", at: "leader")
            }
            let status = await node.status()
            #expect(status.height >= 7)
            await network.stop("leader")
            try await body(network, status)
        }
    }

    private func startFails(_ network: LocalNetwork, naming words: String...) async {
        do {
            try await network.start("leader")
            Issue.record("the node started")
        } catch {
            let line = "\(error)"
            for word in words { #expect(line.contains(word), "\(line)") }
            #expect(!line.contains("\n") && !line.isEmpty)
        }
    }

    @Test func anEmptyApplicationExecutesTheWholeLog() async throws {
        try await Self.withChain { network, before in
            try TestFile.remove(network.root("leader").applicationDirectory)
            let node = try await network.start("leader")
            let after = await node.status()
            #expect(after.height == before.height)
            #expect(after.appHash == before.appHash)
            #expect(after.blockHash == before.blockHash)
            #expect(after.transactionCount == before.transactionCount)
            try await network.agree(rows: 6)
            try await network.insert(6..<8, at: "leader")
            try await network.agree(rows: 8)
        }
    }

    @Test func anApplicationSomeBlocksBehindExecutesThem() async throws {
        try await Self.withChain { network, _ in
            let application = network.root("leader").applicationDirectory
            let kept = application + ".kept"
            try TestFile.copy(application, to: kept)
            try await network.start("leader")
            for row in 6..<10 {
                try await network.commit("INSERT INTO t VALUES (\(row), 'row \(row)')", at: "leader")
            }
            await network.stop("leader")
            try TestFile.remove(application)
            try TestFile.rename(kept, to: application)
            try await network.start("leader")
            try await network.agree(rows: 10)
            try await network.insert(10..<12, at: "leader")
            try await network.agree(rows: 12)
        }
    }

    @Test func anApplicationAheadOfTheLogIsRefused() async throws {
        try await Self.withChain { network, before in
            try TestFile.remove(network.root("leader").blocksDirectory)
            await startFails(network, naming: "height \(before.height)", "block log is empty")
        }
    }

    @Test func anApplicationOfAnotherChainIsRefused() async throws {
        try await Self.withChain { network, before in
            // Another chain of the same owner with equal height and other rows.
            try await LocalNetwork.run(validators: 0, sentries: 0) { other in
                try await other.start("leader")
                while await (try other.node("leader")).status().height < before.height {
                    try await other.commit("SELECT 1", at: "leader")
                }
                await other.stop("leader")
                let application = network.root("leader").applicationDirectory
                try TestFile.remove(application)
                try TestFile.copy(other.root("leader").applicationDirectory, to: application)
            }
            await startFails(network, naming: "appl")
        }
    }

    @Test func anotherGenesisIsRefused() async throws {
        try await Self.withChain { network, _ in
            let file = network.root("leader").genesisFile
            let text = try TestFile.text(file)
            let changed = text.replacing(LocalNetwork.chainID, with: "another-chain")
            #expect(changed != text)
            try TestFile.write(changed, to: file)
            await startFails(network, naming: "genesis")
        }
    }

    @Test func aBusyPortIsRefusedAndLeavesTheRootUsable() async throws {
        try await Self.withChain { network, _ in
            let node = try await network.start("leader")
            let listen = try #require(await node.status().listenAddresses.first)
            let port = try #require(listen.split(separator: "/").last)
            await network.stop("leader")
            try await LocalNetwork.run(validators: 0, sentries: 0) { other in
                let root = other.root("leader")
                var configuration = Configuration()
                configuration.consensus.emptyBlockTimeout = .zero
                try root.create(
                    key: try .generate(.ed25519), genesis: other.genesis, configuration: configuration)
                try await network.start("leader")
                configuration.p2p.listen = ["127.0.0.1:\(port)"]
                do {
                    await (try Node.start(root: root, configuration: configuration)).stop()
                    Issue.record("two nodes on one port")
                } catch {
                    #expect("\(error)".contains(String(port)), "\(error)")
                    #expect(!"\(error)".contains("\n"))
                }
                configuration.p2p.listen = ["127.0.0.1:0"]
                await (try Node.start(root: root, configuration: configuration)).stop()
            }
        }
    }
}
