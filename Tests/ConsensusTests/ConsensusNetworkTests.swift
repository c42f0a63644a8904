import Testing

@testable import Consensus

/// Whole networks of machines under seeded disorder: never a fork, and progress once the disorder ends.
struct ConsensusNetworkTests {
    @Test func fiveNodesCommitInStep() throws {
        let network = try ConsensusNetwork(validators: 4, sentries: 1, seed: 1)
        try network.run(for: 20_000)
        #expect(network.check() == [])
        let heights = network.heights
        #expect((heights.min() ?? 0) > 20, "\(heights)")
        #expect((heights.max() ?? 0) - (heights.min() ?? 0) <= 1)
    }

    @Test func oneValidatorAlone() throws {
        let network = try ConsensusNetwork(validators: 1, sentries: 1, seed: 2)
        try network.run(for: 10_000)
        #expect(network.check() == [])
        #expect(network.heights.allSatisfy { $0 > 10 })
    }

    @Test(arguments: 0..<8) func disorderLossAndRepetition(_ seed: Int) throws {
        let network = try ConsensusNetwork(validators: 4, sentries: 2, seed: UInt64(seed) + 100)
        network.faults = .init(
            loss: network.next(below: 300), repetition: network.next(below: 300),
            longestDelay: 1 + network.next(below: 2_000))
        try network.run(for: 30_000)
        try settle(network)
    }

    @Test(arguments: 0..<8) func restartsOfAnyNode(_ seed: Int) throws {
        let network = try ConsensusNetwork(validators: 4, sentries: 1, seed: UInt64(seed) + 500)
        network.faults = .init(
            loss: network.next(below: 100), repetition: 100, longestDelay: 1 + network.next(below: 200))
        for _ in 0..<25 {
            let node = network.nodes[Int(network.next(below: UInt64(network.nodes.count)))]
            network.stop(node)
            try network.run(for: network.next(below: 3_000))
            network.start(node)
            try network.run(for: network.next(below: 1_000))
        }
        try settle(network)
    }

    @Test(arguments: 0..<3) func theLeaderStopsAgainAndAgain(_ seed: Int) throws {
        let network = try ConsensusNetwork(validators: 3, sentries: 1, seed: UInt64(seed) + 900)
        for _ in 0..<40 {
            network.stop(network.nodes[0])
            try network.run(for: network.next(below: 300))
            network.start(network.nodes[0])
            try network.run(for: network.next(below: 700))
        }
        try settle(network)
    }

    @Test func lateSentryCatchesUpWhileTheNetworkCommits() throws {
        let network = try ConsensusNetwork(validators: 4, sentries: 2, seed: 7)
        network.stop(network.nodes[5])
        try network.run(for: 30_000)
        network.start(network.nodes[5])
        try network.run(for: 30_000)
        #expect(network.check() == [])
        let heights = network.heights
        #expect((heights.max() ?? 0) - heights[5] <= 2, "\(heights)")
    }

    /// Without faults, all nodes up: within 40 seconds all stand level and have gone on.
    private func settle(_ network: ConsensusNetwork) throws {
        #expect(network.check() == [])
        network.faults = .init()
        for node in network.nodes { network.start(node) }
        let before = network.heights.max() ?? 0
        try network.run(for: 40_000)
        #expect(network.check() == [])
        let heights = network.heights
        #expect((heights.min() ?? 0) > before, "\(heights), \(before) before")
        #expect((heights.max() ?? 0) - (heights.min() ?? 0) <= 2, "\(heights)")
    }
}
