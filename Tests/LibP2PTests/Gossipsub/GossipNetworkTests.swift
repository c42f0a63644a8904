import Multiformats
import Reactor
import Testing
import VirtualIO

@testable import LibP2P

/// Networks of hosts in virtual time, a fifth of them hostile.
@Suite struct GossipNetworkTests {
    /// What every host has received, and how the attackers are scored.
    private struct Outcome: Sendable, Equatable {
        var received: [[String]] = []
        /// For each attack, how many of the attacked peers do not even send the attacker their own messages. (Whether
        /// they accept its gossip varies as scores decay.)
        var shunned: [GossipNetwork.Attack: (by: Int, of: Int)] = [:]
        var badScores = 0

        static func == (left: Outcome, right: Outcome) -> Bool {
            left.received == right.received && left.badScores == right.badScores
        }
    }

    private func run(
        honest: Int, attackers: [(GossipNetwork.Attack, Int)], degree: Int, messages: Int, seed: UInt64
    ) throws -> Outcome {
        try MemoryNetwork.run(seed: seed, latency: .milliseconds(20)) {
            let network = try GossipNetwork(honest: honest, attackers: attackers, seed: seed)
            try await network.connect(degree: degree)
            try await Reactor.sleep(for: .seconds(10))
            let members = network.honestMembers
            for number in 0..<messages {
                let author = members[number * 7 % members.count]
                // Every third is long enough for IDONTWANT.
                let text = "\(number) " + String(repeating: "x", count: number % 3 == 0 ? 2_000 : 10)
                try author.gossip?.publish(GossipNetwork.topic, Array(text.utf8))
                try await Reactor.sleep(for: .milliseconds(500))
            }
            try await Reactor.sleep(for: .seconds(10))
            var outcome = Outcome()
            for member in members {
                outcome.received.append(member.received.map { String($0.prefix { $0 != " " }) })
                for other in network.members where member.host.connectedPeers.contains(other.host.peerID) {
                    let score = member.gossip?.score(other.host.peerID) ?? 0
                    if let attack = other.attack {
                        let known = outcome.shunned[attack] ?? (0, 0)
                        outcome.shunned[attack] = (known.by + (score < -100 ? 1 : 0), known.of + 1)
                    } else if score < 0 {
                        outcome.badScores += 1
                    }
                }
            }
            await network.stop()
            return outcome
        }
    }

    @Test func honestMessagesReachEveryoneAmongAHundredHosts() throws {
        let attackers = GossipNetwork.Attack.allCases.map { ($0, 4) }
        let outcome = try run(honest: 80, attackers: attackers, degree: 6, messages: 30, seed: 11)
        for (number, received) in outcome.received.enumerated() {
            let own = (0..<30).filter { $0 * 7 % 80 == number }
            let expected = (0..<30).filter { !own.contains($0) }.map { "\($0)" }
            #expect(received.sorted() == expected.sorted(), "host \(number)")
        }
        // All attacked hosts notice the attackers, and no other host is blamed.
        for attack in [GossipNetwork.Attack.spam, .forgery, .grafts, .offers] {
            let shunned = outcome.shunned[attack] ?? (0, 0)
            #expect(shunned.of > 0 && shunned.by == shunned.of, "\(attack): \(shunned)")
        }
        #expect(outcome.badScores == 0)
    }

    @Test func theSameSeedBringsTheSameMessagesInTheSameOrder() throws {
        let attackers: [(GossipNetwork.Attack, Int)] = [(.forgery, 1), (.offers, 1)]
        let runs = try (0..<2).map { _ in
            try run(honest: 10, attackers: attackers, degree: 4, messages: 10, seed: 5)
        }
        #expect(runs[0] == runs[1])
        #expect(runs[0].received.allSatisfy { $0.count >= 9 })
    }
}
