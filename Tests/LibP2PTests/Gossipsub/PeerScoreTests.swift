import Collections
import Multiformats
import Testing

@testable import LibP2P

/// Each part of the score on its own (gossipsub 1.1, "The Score Function").
@Suite struct PeerScoreTests {
    private let one = RouterFixture.peer(1)
    private let two = RouterFixture.peer(2)

    /// Creates scores with parameters in which nothing counts but what the test sets.
    private func score(_ change: (inout PeerScoreParameters, inout PeerScoreParameters.Topic) -> Void)
        -> PeerScore
    {
        var topic = PeerScoreParameters.Topic()
        topic.timeInMeshWeight = 0
        topic.firstDeliveriesWeight = 0
        topic.invalidWeight = 0
        var parameters = PeerScoreParameters()
        change(&parameters, &topic)
        parameters.topics["t"] = topic
        var score = PeerScore(parameters)
        score.connected(one, address: "192.0.2.1")
        score.connected(two, address: "192.0.2.2")
        return score
    }

    private func accept(
        _ score: inout PeerScore, _ number: UInt8, first: PeerID, others: OrderedSet<PeerID> = [],
        at now: Duration = .zero
    ) {
        score.accepted([number], "t", first: first, others: others, now: now)
    }

    @Test func timeInTheMeshCountsUpToItsCap() {
        var score = score { _, topic in
            topic.timeInMeshWeight = 0.5
            topic.timeInMeshQuantum = .seconds(2)
            topic.timeInMeshCap = 10
        }
        score.grafted(one, "t", now: .zero)
        for (time, expected) in [(0, 0.0), (4, 1), (20, 5), (600, 5)] {
            score.refresh(now: .seconds(time))
            #expect(score.score(one) == expected)
        }
        score.pruned(one, "t")
        #expect(score.score(one) == 0)
    }

    @Test func firstDeliveriesCountDecayAndAreCapped() {
        var score = score { _, topic in
            topic.firstDeliveriesWeight = 2
            topic.firstDeliveriesCap = 3
            topic.firstDeliveriesDecay = 0.5
        }
        for number: UInt8 in 1...5 { accept(&score, number, first: one, others: [two]) }
        #expect(score.score(one) == 6 && score.score(two) == 0)
        score.refresh(now: .seconds(1))
        #expect(score.score(one) == 3)
        for second in 2...9 { score.refresh(now: .seconds(second)) }
        #expect(score.score(one) == 0)
    }

    @Test func meshPeersThatDoNotDeliverLose() {
        var score = score { _, topic in
            topic.meshDeliveriesWeight = -1
            topic.meshDeliveriesThreshold = 4
            topic.meshDeliveriesActivation = .seconds(10)
            topic.meshDeliveriesDecay = 1
            topic.meshFailureWeight = -1
            topic.meshFailureDecay = 0.5
        }
        score.grafted(one, "t", now: .zero)
        score.grafted(two, "t", now: .zero)
        // The first copy, one before the verdict, one just after it; then one too late, and one repeated.
        accept(&score, 1, first: two, others: [one])
        accept(&score, 2, first: two)
        score.duplicate([2], "t", from: one, now: .milliseconds(10))
        score.duplicate([2], "t", from: one, now: .milliseconds(10))
        accept(&score, 3, first: two)
        score.duplicate([3], "t", from: one, now: .milliseconds(11))
        accept(&score, 4, first: two)
        score.refresh(now: .seconds(10))
        #expect(score.score(one) == 0 && score.score(two) == 0)
        score.refresh(now: .seconds(11))
        #expect(score.score(one) == -4 && score.score(two) == 0)
        // The final deficit counts for a while (P3b).
        score.pruned(one, "t")
        #expect(score.score(one) == -4)
        score.refresh(now: .seconds(12))
        #expect(score.score(one) == -2)
    }

    @Test func invalidMessagesCountSquared() {
        var score = score { _, topic in
            topic.invalidWeight = -3
            topic.invalidDecay = 0.5
        }
        score.rejected([1], "t", [one, two], now: .zero)
        score.rejected([2], "t", [one], now: .zero)
        #expect(score.score(one) == -12 && score.score(two) == -3)
        // Later copies count against their senders, too, but only once; accepted messages do not.
        score.duplicate([2], "t", from: two, now: .seconds(100))
        score.duplicate([2], "t", from: two, now: .seconds(100))
        accept(&score, 3, first: one)
        score.duplicate([3], "t", from: two, now: .seconds(100))
        #expect(score.score(two) == -12)
        score.refresh(now: .seconds(101))
        #expect(score.score(two) == -3)
    }

    @Test func theApplicationHasAWord() {
        var score = score { parameters, _ in parameters.applicationWeight = 2 }
        score.setApplicationScore(one, -7)
        #expect(score.score(one) == -14)
        score.setApplicationScore(one, 3)
        #expect(score.score(one) == 6)
    }

    @Test func peersAtOneAddressShareTheirBurden() {
        var score = score { parameters, _ in
            parameters.colocationThreshold = 2
            parameters.colocationWeight = -10
        }
        for number: UInt8 in 3...5 { score.connected(RouterFixture.peer(number), address: "192.0.2.1") }
        score.connected(RouterFixture.peer(6), address: nil)
        #expect(score.score(one) == -40 && score.score(RouterFixture.peer(5)) == -40)
        #expect(score.score(two) == 0 && score.score(RouterFixture.peer(6)) == 0)
        score.disconnected(RouterFixture.peer(4), now: .zero)
        #expect(score.score(one) == -10)
        // A repeated call adds no connection.
        score.connected(RouterFixture.peer(5), address: "192.0.2.1")
        #expect(score.score(one) == -10)
    }

    @Test func misbehaviourBeyondTheThresholdCountsSquared() {
        var score = score { parameters, _ in
            parameters.behaviourThreshold = 2
            parameters.behaviourWeight = -1
            parameters.behaviourDecay = 0.8
        }
        score.misbehaved(one, 2)
        #expect(score.score(one) == 0)
        score.misbehaved(one, 3)
        #expect(score.score(one) == -9)
        score.refresh(now: .seconds(1))
        #expect(score.score(one) == -4)
    }

    @Test func topicsCanBringSoMuchAndCostAnyAmount() {
        var score = score { parameters, topic in
            parameters.topicCap = 10
            topic.weight = 2
            topic.firstDeliveriesWeight = 6
            topic.invalidWeight = -1
        }
        accept(&score, 1, first: one)
        #expect(score.score(one) == 10)
        for number: UInt8 in 2...11 { score.rejected([number], "t", [one], now: .zero) }
        #expect(score.score(one) == 2 * (6 - 100))
    }

    @Test func topicsWithoutParametersDoNotCount() {
        var score = score { parameters, _ in parameters.otherTopics = nil }
        score.invalid(one, "other")
        score.grafted(one, "other", now: .zero)
        #expect(score.score(one) == 0)
    }

    @Test func aScoreIsKeptWhileAPeerIsAway() {
        var score = score { parameters, topic in
            topic.invalidWeight = -1
            topic.invalidDecay = 0.5
            parameters.retention = .seconds(60)
        }
        score.rejected([1], "t", [one], now: .zero)
        score.disconnected(one, now: .seconds(1))
        score.refresh(now: .seconds(30))
        #expect(score.score(one) == -1)
        score.connected(one, address: nil)
        score.refresh(now: .seconds(90))
        #expect(score.score(one) == -0.25)
        score.disconnected(one, now: .seconds(90))
        score.refresh(now: .seconds(149))
        #expect(score.score(one) == -0.25)
        score.refresh(now: .seconds(150))
        #expect(score.score(one) == 0)
    }

    @Test func whatIsRememberedIsBounded() throws {
        var score = score { _, topic in topic.invalidWeight = -1 }
        var peers: [PeerID] = []
        for number in 0...PeerScore.maximumRetained {
            var key = [UInt8](repeating: 0xab, count: 36)
            (key[0], key[1]) = (UInt8(number >> 8), UInt8(number & 0xff))
            let peer = try PeerID(publicKeyProtobuf: key)
            peers.append(peer)
            score.connected(peer, address: nil)
            score.invalid(peer, "t")
            score.disconnected(peer, now: .seconds(number / 1_000))
        }
        #expect(peers.filter { score.score($0) < 0 }.count == PeerScore.maximumRetained)
        #expect(score.score(peers[0]) == 0)
    }
}
