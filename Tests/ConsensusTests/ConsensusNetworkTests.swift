import Chain
import Testing

@testable import Consensus

/// Whole networks of machines under disorder from a seed: they never fork, and progress once the disorder ends.
struct ConsensusNetworkTests {
    @Test func fiveNodesCommitInStep() throws {
        let network = try ConsensusNetwork(validators: 4, sentries: 1, seed: 1)
        defer { network.end() }
        try network.run(for: 20_000)
        #expect(network.check() == [])
        let heights = network.heights
        #expect((heights.min() ?? 0) > 20, "\(heights)")
        #expect((heights.max() ?? 0) - (heights.min() ?? 0) <= 1)
    }

    @Test func oneValidatorAlone() throws {
        let network = try ConsensusNetwork(validators: 1, sentries: 1, seed: 2)
        defer { network.end() }
        try network.run(for: 10_000)
        #expect(network.check() == [])
        #expect(network.heights.allSatisfy { $0 > 10 })
    }

    @Test(arguments: [false, true]) func newerStampsReachValidatorsThroughOthers(isRestarted: Bool) throws {
        let network = try ConsensusNetwork(validators: 4, sentries: 0, seed: 7)
        defer { network.end() }
        let leader = network.nodes[0]
        try network.run(for: 3_000)
        // Two votes arrive directly, and three are needed.
        network.isCut = { one, other in (one === leader || other === leader) && one.index + other.index > 1 }
        try network.run(for: 3_000)
        #expect((network.heights.min() ?? 0) > 10)
        leader.clockAway = 30 * 86_400_000
        try network.run(for: 10_000)
        leader.clockAway = 0
        if isRestarted {
            network.stop(leader)
            network.start(leader)
        }
        let before = network.heights.min() ?? 0
        try network.run(for: 20_000)
        #expect(network.check() == [])
        #expect((network.heights.min() ?? 0) > before + 5, "\(network.heights)")
    }

    @Test(arguments: 0..<8) func disorderLossAndRepetition(_ seed: Int) throws {
        let network = try ConsensusNetwork(validators: 4, sentries: 2, seed: UInt64(seed) + 100)
        defer { network.end() }
        network.faults = .init(
            loss: network.next(below: 300), repetition: network.next(below: 300),
            longestDelay: 1 + network.next(below: 2_000))
        try network.run(for: 30_000)
        try settle(network)
    }

    @Test(arguments: 0..<4) func machinesThatCannotExecuteNow(_ seed: Int) throws {
        let network = try ConsensusNetwork(validators: 4, sentries: 2, seed: UInt64(seed) + 300)
        defer { network.end() }
        network.faults = .init(
            loss: network.next(below: 100), longestDelay: 1 + network.next(below: 200), trouble: 300)
        try network.run(for: 60_000)
        try settle(network)
    }

    @Test(arguments: 0..<8) func restartsOfAnyNode(_ seed: Int) throws {
        let network = try ConsensusNetwork(validators: 4, sentries: 1, seed: UInt64(seed) + 500)
        defer { network.end() }
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
        defer { network.end() }
        for _ in 0..<40 {
            network.stop(network.nodes[0])
            try network.run(for: network.next(below: 300))
            network.start(network.nodes[0])
            try network.run(for: network.next(below: 700))
        }
        try settle(network)
    }

    @Test(arguments: 0..<6) func aLeaderThatLosesItsDisk(_ seed: Int) throws {
        let network = try ConsensusNetwork(
            validators: 3 + seed % 3, sentries: 1, seed: UInt64(seed) + 2_000, interval: .milliseconds(600))
        defer { network.end() }
        network.faults = .init(
            loss: network.next(below: 100), repetition: 100, longestDelay: 1 + network.next(below: 200))
        try network.run(for: 3_000)
        for _ in 0..<10 {
            let leader = network.nodes[0]
            // At any moment of a height: before its votes are in, between its commit and the announcement.
            try network.run(for: 100 + network.next(below: 2_000))
            network.wipe(leader)
            try network.run(for: network.next(below: 2_000))
            network.start(leader)
            try network.run(for: 4_000 + network.next(below: 4_000))
        }
        try settle(network)
    }

    @Test(arguments: 0..<5) func anyDiskIsLostButNeverAMajority(_ seed: Int) throws {
        let network = try ConsensusNetwork(
            validators: 5, sentries: 1, seed: UInt64(seed) + 2_500, interval: .milliseconds(600))
        defer { network.end() }
        network.faults = .init(loss: 50, repetition: 100, longestDelay: 1 + network.next(below: 100))
        try network.run(for: 10_000)
        for _ in 0..<8 {
            let first = Int(network.next(below: 5))
            let lost = [network.nodes[first], network.nodes[(first + 1) % 5]]
            for node in lost { network.wipe(node) }
            try network.run(for: network.next(below: 1_000))
            for node in lost { network.start(node) }
            try network.run(for: 15_000)
        }
        try settle(network)
    }

    @Test(arguments: 0..<6) func aPromotedLeaderTakesOver(_ seed: Int) throws {
        let network = try ConsensusNetwork(
            validators: 4 + seed % 2, sentries: 1, seed: UInt64(seed) + 3_000, interval: .milliseconds(600))
        defer { network.end() }
        network.faults = .init(
            loss: network.next(below: 100), repetition: 100, longestDelay: 1 + network.next(below: 200))
        try network.run(for: 2_000 + network.next(below: 3_000))
        let old = network.nodes[0]
        // Gone for good, or only believed to be.
        let isGone = seed % 2 == 0
        if isGone { network.stop(old) }
        let promotion = Promotion(
            leader: network.nodes[1].key.publicKey, height: (network.heights.max() ?? 0) + 1)
        for node in network.nodes[1..<4] {
            node.promotion = promotion
            network.stop(node)
            try network.run(for: network.next(below: 500))
            network.start(node)
        }
        try network.run(for: 40_000)
        #expect(network.check() == [])
        #expect(network.nodes[1].machine.state.leader == promotion.leader)
        network.start(old)
        try network.run(for: 20_000)
        #expect(old.machine.role.name == .validator)
        try settle(network)
    }

    @Test(arguments: 0..<4) func validatorsComeAndGo(_ seed: Int) throws {
        let network = try ConsensusNetwork(
            validators: 4, sentries: 2, seed: UInt64(seed) + 4_000, interval: .milliseconds(600))
        defer { network.end() }
        network.faults = .init(
            loss: network.next(below: 100), repetition: 100, longestDelay: 1 + network.next(below: 200))
        func change(_ index: Int, _ power: Int64) -> Validator {
            Validator(key: network.nodes[index].key.publicKey, power: power)
        }
        network.changes = [
            3: [change(4, 1)], 5: [change(1, 0)], 7: [change(5, 1), change(1, 1)], 8: [change(2, 0)],
            10: [change(0, 0)], 12: [change(0, 1), change(4, 0)],
        ]
        network.stop(network.nodes[3])
        try network.run(for: 20_000)
        network.start(network.nodes[3])
        try settle(network)
        let heights = network.heights
        #expect((heights.min() ?? 0) > 12, "\(heights)")
        #expect(
            network.nodes.map(\.machine.role.name) == [
                .leader, .validator, .sentry, .validator, .sentry, .validator,
            ])
    }

    @Test func lateSentryCatchesUpWhileTheNetworkCommits() throws {
        let network = try ConsensusNetwork(validators: 4, sentries: 2, seed: 7)
        defer { network.end() }
        network.stop(network.nodes[5])
        try network.run(for: 30_000)
        network.start(network.nodes[5])
        try network.run(for: 30_000)
        #expect(network.check() == [])
        let heights = network.heights
        #expect((heights.max() ?? 0) - heights[5] <= 2, "\(heights)")
    }

    /// Checks that without faults and with all nodes up, all are level within 40 seconds and have progressed.
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
