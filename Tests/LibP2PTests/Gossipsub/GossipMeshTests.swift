import Bytes
import Multiformats
import Testing

@testable import LibP2P

/// Which peers are grafted, admitted and pruned.
@Suite struct GossipMeshTests {
    private typealias Fixture = RouterFixture

    private func invited(_ actions: [GossipsubRouter.Action]) -> [PeerID] {
        Fixture.sends(actions).filter { $0.value.graft == ["t"] }.keys.sorted()
    }

    private func sentOut(_ actions: [GossipsubRouter.Action]) -> [PeerID] {
        Fixture.sends(actions).filter { !$0.value.prune.isEmpty }.keys.sorted()
    }

    // MARK: Admission

    @Test func graftsArePrunedWhenTheMeshIsFull() {
        var router = Fixture.meshed(5) { $0.degreeHigh = 5 }
        _ = router.connected(Fixture.peer(6), protocolID: .meshsub11)
        let refusal = [Fixture.refusal(6)]
        #expect(router.received(Fixture.graft, from: Fixture.peer(6), now: .zero) == refusal)
        router.disconnected(Fixture.peer(1), now: .zero)
        // During its backoff, and after it.
        #expect(router.received(Fixture.graft, from: Fixture.peer(6), now: .seconds(59)) == refusal)
        #expect(router.counters.earlyGrafts == 1)
        #expect(router.received(Fixture.graft, from: Fixture.peer(6), now: .seconds(120)) == [])
        #expect(router.mesh("t").contains(Fixture.peer(6)))
    }

    @Test func aFullMeshTakesWhomThisHostHasDialled() {
        var router = Fixture.meshed(5) { $0.degreeHigh = 5 }
        _ = router.connected(Fixture.peer(6), protocolID: .meshsub11, isOutbound: true)
        #expect(router.received(Fixture.graft, from: Fixture.peer(6), now: .zero) == [])
        #expect(router.mesh("t").count == 6)
    }

    @Test func graftsForUnknownTopicsAreNotAnswered() {
        var router = Fixture.meshed(1)
        #expect(router.received(Fixture.rpc { $0.graft = ["x"] }, from: Fixture.peer(1), now: .zero) == [])
    }

    @Test func aPeerWithANegativeScoreIsNotLetIn() throws {
        var router = Fixture.meshed(5)
        Fixture.join(6, &router)
        try Fixture.reject(1, &router, from: 6)
        #expect(router.score(Fixture.peer(6)) < 0)
        #expect(
            router.received(Fixture.graft, from: Fixture.peer(6), now: .zero) == [Fixture.refusal(6)])
        #expect(router.counters.earlyGrafts == 0)
    }

    @Test func graftsInTheBackoffLowerTheScore() {
        var router = Fixture.meshed(5) { $0.degreeHigh = 5 }
        Fixture.join(6, &router)
        var seconds = 0
        while router.score(Fixture.peer(6)) >= router.configuration.score.graylistThreshold, seconds < 100 {
            _ = router.received(Fixture.graft, from: Fixture.peer(6), now: .seconds(seconds))
            seconds += 1
        }
        // Each counts twice, and the first four points are tolerated.
        #expect(seconds == 6)
        #expect(router.received(Fixture.graft, from: Fixture.peer(6), now: .seconds(seconds)) == [])
        let told = router.heartbeat(now: .seconds(seconds)).compactMap { action -> PeerID? in
            if case .graylisted(let peer, _) = action { peer } else { nil }
        }
        #expect(told == [Fixture.peer(6)])
        #expect(router.heartbeat(now: .seconds(seconds + 1)) == [])
    }

    @Test func oneRPCCountsAsOneGraft() {
        var router = Fixture.meshed(5) { $0.degreeHigh = 5 }
        Fixture.join(6, &router)
        let flood = Fixture.rpc { $0.graft = [RawText](repeating: "t", count: 5_000) }
        #expect(router.received(flood, from: Fixture.peer(6), now: .zero) == [Fixture.refusal(6)])
        #expect(router.score(Fixture.peer(6)) == 0)
    }

    // MARK: Backoff

    @Test func aPrunedPeerIsLeftAloneForItsBackoff() {
        var router = Fixture.meshed(1)
        #expect(router.mesh("t") == [Fixture.peer(1)])
        let prune = Fixture.rpc { $0.prune = [.init(topic: "t", backoff: 90)] }
        #expect(router.received(prune, from: Fixture.peer(1), now: .seconds(1)) == [])
        #expect(router.mesh("t") == [])
        // A heartbeat later than requested, because the peer's clock decides whether it is too early.
        #expect(router.heartbeat(now: .seconds(91)) == [])
        #expect(router.heartbeat(now: .seconds(92)) == [.send(Fixture.peer(1), Fixture.graft)])
    }

    @Test func backoffsOfAnySizeAreTaken() {
        for seconds in [0, 1, UInt64(Int64.max), .max] {
            var router = Fixture.meshed(1)
            let prune = Fixture.rpc { $0.prune = [.init(topic: "t", backoff: seconds)] }
            _ = router.received(prune, from: Fixture.peer(1), now: .zero)
            #expect(router.mesh("t") == [])
            #expect(router.heartbeat(now: .seconds(3_601)).count == 1)
        }
    }

    @Test func leavingATopicHasABackoffOfItsOwn() {
        var router = Fixture.meshed(1)
        #expect(
            router.unsubscribe("t", now: .zero) == [
                .send(
                    Fixture.peer(1),
                    Fixture.rpc {
                        $0.subscriptions = [.init(subscribe: false, topic: "t")]
                        $0.prune = [.init(topic: "t", backoff: 10)]
                    })
            ])
        #expect(invited(router.subscribe("t", now: .seconds(5))) == [])
        #expect(invited(router.heartbeat(now: .seconds(10))) == [])
        #expect(invited(router.heartbeat(now: .seconds(11))) == [Fixture.peer(1)])
    }

    @Test func aBackoffOutlivesTheConnection() {
        var router = Fixture.meshed(1)
        let prune = Fixture.rpc { $0.prune = [.init(topic: "t", backoff: 60)] }
        _ = router.received(prune, from: Fixture.peer(1), now: .zero)
        router.disconnected(Fixture.peer(1), now: .seconds(1))
        Fixture.join(1, &router, now: .seconds(2))
        #expect(router.mesh("t") == [])
    }

    // MARK: Maintenance

    @Test func heartbeatFillsASmallMesh() {
        var router = Fixture.router()
        for number: UInt8 in 1...20 { Fixture.join(number, &router) }
        let joining = router.subscribe("t", now: .zero)
        #expect(Fixture.sends(joining).count == 20)
        #expect(invited(joining).count == 6)
        for peer in router.mesh("t").prefix(3) { router.disconnected(peer, now: .zero) }
        #expect(router.mesh("t").count == 3)
        #expect(invited(router.heartbeat(now: .seconds(1))).count == 3)
        #expect(router.mesh("t").count == 6)
    }

    @Test(arguments: [(12, 0), (13, 7), (20, 14)] as [(UInt8, Int)])
    func heartbeatCutsALargeMesh(_ size: UInt8, _ cut: Int) {
        var router = Fixture.meshed(size)
        for peer in Fixture.peers(1...size) {
            // Dialled peers would be admitted at any size; the test adds these directly.
            router.meshes["t"]?.append(peer)
        }
        #expect(sentOut(router.heartbeat(now: .seconds(1))).count == cut)
        #expect(router.mesh("t").count == Int(size) - cut)
    }

    @Test func theBestAndSomeDialledOnesStayWhenAMeshIsCut() throws {
        var router = Fixture.router()
        _ = router.subscribe("t", now: .zero)
        for number: UInt8 in 1...15 { Fixture.join(number, &router, isOutbound: number == 8 || number == 9) }
        for peer in Fixture.peers(1...15) { router.meshes["t"]?.append(peer) }
        for number: UInt8 in 1...4 {
            Fixture.accept(try Fixture.message(), &router, from: number)
        }
        _ = router.heartbeat(now: .seconds(1))
        #expect(router.mesh("t").count == 6)
        let stay = Fixture.peers(1...4) + Fixture.peers(8...9)
        #expect(router.mesh("t").sorted() == stay.sorted())
    }

    @Test func aMeshHasPeersThatThisHostHasDialled() {
        var router = Fixture.meshed(6)
        for number: UInt8 in 7...10 { Fixture.join(number, &router, isOutbound: true) }
        #expect(router.mesh("t").count == 5)
        #expect(invited(router.heartbeat(now: .seconds(1))).count == 2)
        #expect(router.mesh("t").filter { Fixture.peers(7...10).contains($0) }.count == 2)
    }

    @Test func heartbeatSendsOutPeersWithANegativeScore() throws {
        var router = Fixture.meshed(5)
        try Fixture.reject(1, &router, from: 2)
        #expect(sentOut(router.heartbeat(now: .seconds(1))) == [Fixture.peer(2)])
        #expect(!router.mesh("t").contains(Fixture.peer(2)))
    }

    @Test func betterPeersAreAskedIntoAPoorMesh() throws {
        var router = Fixture.meshed(6) { $0.opportunisticGraftBeats = 3 }
        Fixture.join(7, &router)
        for _ in 0..<2 { Fixture.accept(try Fixture.message(), &router, from: 7) }
        for beat in 1...2 { #expect(invited(router.heartbeat(now: .seconds(beat))) == []) }
        #expect(invited(router.heartbeat(now: .seconds(3))) == [Fixture.peer(7)])
        // A mesh with good scores is left unchanged.
        Fixture.join(8, &router)
        for number: UInt8 in 1...5 {
            for _ in 0..<8 { Fixture.accept(try Fixture.message(), &router, from: number) }
        }
        for _ in 0..<9 { Fixture.accept(try Fixture.message(), &router, from: 8) }
        for beat in 4...6 { #expect(invited(router.heartbeat(now: .seconds(beat))) == []) }
    }

    // MARK: Direct peers

    @Test func directPeersAreServedOutsideTheMesh() throws {
        var router = Fixture.router { $0.directPeers = [Fixture.peer(1), Fixture.peer(9)] }
        _ = router.subscribe("t", now: .zero)
        for number: UInt8 in 1...3 { Fixture.join(number, &router) }
        #expect(router.mesh("t") == Fixture.peers(2...3))
        #expect(
            router.received(Fixture.graft, from: Fixture.peer(1), now: .zero) == [Fixture.refusal(1)])
        let message = try Fixture.message()
        let receivers = Fixture.receivers(Fixture.accept(message, &router, from: 2))
        #expect(receivers == [Fixture.peer(3), Fixture.peer(1)])
        // Its messages are accepted regardless of its score.
        try Fixture.reject(10, &router, from: 1)
        let other = try Fixture.message(2)
        #expect(!Fixture.bring(other, &router, from: 1).isEmpty)
        #expect(router.heartbeat(now: .seconds(1)).contains(.connect(Fixture.peer(9))))
        #expect(!router.heartbeat(now: .seconds(2)).contains(.connect(Fixture.peer(9))))
    }

    // MARK: Peer exchange

    @Test func peersAreExchangedOnlyIfConfigured() {
        for isOn in [false, true] {
            var router = Fixture.meshed(8) {
                $0.degreeHigh = 5
                $0.peerExchange = isOn
            }
            let actions = router.received(Fixture.graft, from: Fixture.peer(6), now: .zero)
            let named = Fixture.sends(actions)[Fixture.peer(6)]?.prune.first?.peers ?? []
            let others = Fixture.peers(1...5) + Fixture.peers(7...8)
            #expect(named.sorted() == (isOn ? others.sorted() : []))
        }
    }

    @Test(arguments: [(false, 100.0, false), (true, 100, true), (true, 49, false)])
    func exchangedPeersAreBelievedOnlyFromTheTrusted(_ isOn: Bool, _ score: Double, _ believed: Bool) {
        var router = Fixture.meshed(2) { $0.peerExchange = isOn }
        router.setApplicationScore(Fixture.peer(1), score)
        let prune = Fixture.rpc {
            $0.prune = [.init(topic: "t", peers: [Fixture.own, Fixture.peer(2), Fixture.peer(50)])]
        }
        let actions = router.received(prune, from: Fixture.peer(1), now: .zero)
        #expect(actions == (believed ? [.connect(Fixture.peer(50))] : []))
    }
}
