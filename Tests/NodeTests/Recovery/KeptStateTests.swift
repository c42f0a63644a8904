import Chain
import Consensus
import Crypto
import Log
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Node

/// The file from which a start continues (docs/storage.md, "State"): a wrong one may cost time, and nothing else.
@Suite(.serialized) struct KeptStateTests {
    private func file(_ network: LocalNetwork) -> String {
        network.root("leader").blocksDirectory + "/STATE"
    }

    /// Starts and stops the leader. Returns the heights of the log that it followed, and its status.
    private func restart(
        _ network: LocalNetwork, log: Log = .silent
    ) async throws -> (heights: [Int64], status: NodeStatus) {
        let heights = Mutex<[Int64]>([])
        var configuration = Configuration()
        configuration.p2p.listen = ["127.0.0.1:0"]
        configuration.consensus.emptyBlockTimeout = .zero
        let node = try await Node.start(
            root: network.root("leader"), configuration: configuration, log: log
        ) { progress in
            if case .executing(let height, _) = progress { heights.withLock { $0.append(height) } }
        }
        let status = await node.status()
        await node.stop()
        return (heights.withLock { $0 }, status)
    }

    private func expect(_ status: NodeStatus, is before: NodeStatus, _ comment: Comment? = nil) {
        #expect(status.height == before.height, comment)
        #expect(status.blockHash == before.blockHash, comment)
        #expect(status.appHash == before.appHash, comment)
        #expect(status.transactionCount == before.transactionCount, comment)
    }

    @Test func aStartAfterAStopFollowsTheLastBlockOnly() async throws {
        try await ChainRecoveryTests.withChain { network, before in
            for _ in 0..<2 {
                let (heights, status) = try await restart(network)
                #expect(heights == [before.height])
                expect(status, is: before)
            }
            try await network.start("leader")
            try await network.agree(rows: 6)
            try await network.insert(6..<8, at: "leader")
            try await network.agree(rows: 8)
        }
    }

    @Test func aFileThatIsNotBelievedCostsALongerStart() async throws {
        let changes: [(String, (String) throws -> Void)] = [
            ("missing", { try TestFile.remove($0) }),
            ("torn", { try TestFile.write(Array(try TestFile.bytes($0).dropLast(20)), to: $0) }),
            ("empty", { try TestFile.write([UInt8](), to: $0) }),
            (
                "another count of transactions",
                {
                    var bytes = try TestFile.bytes($0)
                    bytes[8 + 64] ^= 1
                    try TestFile.write(bytes, to: $0)
                }
            ),
        ]
        try await ChainRecoveryTests.withChain { network, before in
            for (name, change) in changes {
                try change(file(network))
                let lines = LogLines()
                let (heights, status) = try await restart(
                    network, log: Log(source: "node", level: .info, sink: lines))
                #expect(heights == Array(1...before.height), "\(name)")
                expect(status, is: before, "\(name)")
                #expect(lines.count("kept chain state is not used") == (name == "missing" ? 0 : 1), "\(name)")
            }
        }
    }

    @Test func anEarlierFileCostsTheBlocksSince() async throws {
        try await ChainRecoveryTests.withChain { network, before in
            let earlier = try TestFile.bytes(file(network))
            let node = try await network.start("leader")
            try await network.insert(6..<9, at: "leader")
            let after = await node.status()
            await network.stop("leader")
            try TestFile.write(earlier, to: file(network))
            let (heights, status) = try await restart(network)
            #expect(heights == Array(before.height...after.height))
            expect(status, is: after)
        }
    }

    /// Whoever changes the file and its checksum contradicts the log.
    @Test func everyEditedByteContradictsTheLog() async throws {
        try await ChainRecoveryTests.withChain { network, before in
            let store = try BlockStore(directory: network.root("leader").blocksDirectory)
            defer { try? store.close() }
            let content = try #require(try store.stateFile.read()).array
            for place in content.indices where !(64..<72).contains(place) {
                var edited = content
                edited[place] ^= 1 << UInt8(place % 8)
                try store.stateFile.write(edited)
                #expect(throws: KeptState.Doubt.self, "byte \(place)") {
                    try KeptState.read(from: store, of: network.genesis)
                }
            }
            try store.stateFile.write(content)
            let kept = try #require(try KeptState.read(from: store, of: network.genesis))
            #expect(kept.height == before.height && kept.bytes == content)
            var other = network.genesis
            other.chainID = "another-chain"
            #expect(throws: KeptState.Doubt.otherGenesis) { try KeptState.read(from: store, of: other) }
        }
    }

    // MARK: When to keep

    @Test func aStateIsKeptOnceTheApplicationIsDurable() throws {
        let chain = try TestChain(10)
        var keeper = StateKeeper(genesis: .zero, interval: 3, kept: 0, latest: nil, transactions: 5)
        var kept: [Int64] = []
        var transactions: UInt64 = 5
        for (link, durable) in zip(chain.links, [.min, 0, 1, 1, 5, 5, 5, 5, 8, 8] as [Int64]) {
            let height = link.block.height
            let state = ChainState(
                height: height - 1, hash: .zero, appHash: .zero, timestamp: 0,
                parameters: NetworkParameters(leader: nil), validators: ValidatorSet([]))
            let block = try CheckedBlock(kept: link.hashed)
            if let due = keeper.committed(block, on: state, durable: durable) { kept.append(due.height) }
            #expect(keeper.latest?.height == height && keeper.latest?.block == block.hash)
            #expect(keeper.latest?.transactions == transactions)
            transactions += UInt64(block.transactions.count)
        }
        // Blocks 3, 6 and 9 wait until the application is durable up to the block before.
        #expect(kept == [3, 6, 9])
    }
}
