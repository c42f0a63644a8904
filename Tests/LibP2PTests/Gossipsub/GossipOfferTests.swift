import Bytes
import Crypto
import Testing

@testable import LibP2P

/// Which messages are offered, requested, unwanted and remembered.
@Suite struct GossipOfferTests {
    private typealias Action = GossipsubRouter.Action
    private typealias Fixture = RouterFixture

    @Test func offersGoToPeersOutsideTheMeshAndAreServedThreeTimes() throws {
        var router = Fixture.meshed(5)
        for number: UInt8 in 6...9 { Fixture.join(number, &router) }
        let message = try Fixture.message()
        Fixture.accept(message, &router, from: 1)
        for beat in 1...3 {
            let offers = Fixture.sends(router.heartbeat(now: .seconds(beat)))
            #expect(Set(offers.keys) == Set((6...9).map { Fixture.peer($0) }))
            #expect(offers.values.allSatisfy { $0.iHave == [.init(topic: "t", ids: [message.id])] })
        }
        #expect(router.heartbeat(now: .seconds(4)) == [])
        let want = Fixture.rpc { $0.iWant = [message.id, [9, 9]] }
        let answer = [Action.forward(message, to: [Fixture.peer(7)], .requested)]
        for _ in 0..<3 { #expect(router.received(want, from: Fixture.peer(7), now: .seconds(4)) == answer) }
        #expect(router.received(want, from: Fixture.peer(7), now: .seconds(4)) == [])
        _ = router.heartbeat(now: .seconds(5))
        #expect(router.received(want, from: Fixture.peer(8), now: .seconds(5)) == [])
    }

    @Test func unknownOffersAreAskedFor() throws {
        var router = Fixture.meshed(2)
        let known = try Fixture.message()
        _ = router.publish(known, now: .zero)
        let offer = Fixture.rpc {
            $0.iHave = [.init(topic: "t", ids: [known.id, [1], [2]]), .init(topic: "x", ids: [[3]])]
        }
        #expect(
            router.received(offer, from: Fixture.peer(1), now: .zero) == [
                .send(Fixture.peer(1), Fixture.rpc { $0.iWant = [[1], [2]] })
            ])
        // Excess offers of a peer are ignored until the next heartbeat.
        for _ in 1..<GossipsubLimits.offersPerHeartbeat {
            _ = router.received(offer, from: Fixture.peer(1), now: .zero)
        }
        #expect(router.received(offer, from: Fixture.peer(1), now: .zero) == [])
        _ = router.heartbeat(now: .seconds(1))
        #expect(router.received(offer, from: Fixture.peer(1), now: .seconds(1)).count == 1)
    }

    @Test func unwantedMessagesAreNotSent() throws {
        var router = Fixture.router()
        _ = router.subscribe("t", now: .zero)
        Fixture.join(1, &router, .meshsub12)
        Fixture.join(2, &router, .meshsub12)
        Fixture.join(3, &router, .meshsub11)
        let message = try Fixture.message()
        let unwanted = Fixture.rpc { $0.iDontWant = [message.id] }
        // A message queued for the peer already is withdrawn.
        #expect(
            router.received(unwanted, from: Fixture.peer(1), now: .zero) == [
                .withdraw([message.id], from: Fixture.peer(1))
            ])
        #expect(router.received(unwanted, from: Fixture.peer(3), now: .zero) == [])
        let own = [Action.forward(message, to: Fixture.peers(2...3), .own)]
        #expect(router.publish(message, now: .zero) == own)
        // It is remembered across one heartbeat.
        let second = try Fixture.message(2)
        let third = try Fixture.message(3)
        for id in [second.id, third.id] {
            _ = router.received(Fixture.rpc { $0.iDontWant = [id] }, from: Fixture.peer(1), now: .zero)
        }
        _ = router.heartbeat(now: .seconds(1))
        #expect(Fixture.receivers(router.publish(second, now: .seconds(1))) == Fixture.peers(2...3))
        _ = router.heartbeat(now: .seconds(2))
        #expect(Fixture.receivers(router.publish(third, now: .seconds(2))) == Fixture.peers(1...3))
    }

    @Test func unwantedMessagesOfOneHeartbeatAreBounded() {
        var router = Fixture.router()
        Fixture.join(1, &router, .meshsub12)
        let ids = (0..<3_000).map { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
        let flood = Fixture.rpc { $0.iDontWant = ids }
        let limit = GossipsubLimits.unwantedPerHeartbeat
        #expect(
            router.received(flood, from: Fixture.peer(1), now: .zero) == [
                .withdraw(Array(ids.prefix(limit)), from: Fixture.peer(1))
            ])
        #expect(router.peers[Fixture.peer(1)]?.unwanted.count == limit)
    }

    @Test(arguments: [(1_024, true), (1_023, false)])
    func meshPeersAreToldOfALongMessageAtOnce(_ size: Int, _ isTold: Bool) throws {
        var router = Fixture.router()
        _ = router.subscribe("t", now: .zero)
        for number: UInt8 in 1...4 { Fixture.join(number, &router, number == 4 ? .meshsub11 : .meshsub12) }
        let message = try Fixture.message(data: [UInt8](repeating: 1, count: size))
        let arrival = Fixture.rpc { $0.messages = [message] }
        for number: UInt8 in 1...2 {
            _ = router.received(arrival, from: Fixture.peer(number), now: .zero)
        }
        // Neither the peers that have it, nor one that does not support IDONTWANT.
        let actions = router.verified(message, from: Fixture.peer(1), isSigned: true, now: .zero)
        let told = Action.send(Fixture.peer(3), Fixture.rpc { $0.iDontWant = [message.id] })
        #expect(actions == [.validate(message, from: Fixture.peer(1))] + (isTold ? [told] : []))
    }

    @Test func brokenPromisesLowerTheScore() throws {
        var router = Fixture.meshed(3)
        let message = try Fixture.message()
        for number: UInt8 in 1...8 {
            let offer = Fixture.rpc { $0.iHave = [.init(topic: "t", ids: [[number]])] }
            _ = router.received(offer, from: Fixture.peer(1), now: .zero)
        }
        let offer = Fixture.rpc { $0.iHave = [.init(topic: "t", ids: [message.id])] }
        for number: UInt8 in 2...3 { _ = router.received(offer, from: Fixture.peer(number), now: .zero) }
        _ = router.heartbeat(now: .seconds(2))
        #expect(router.counters.brokenPromises == 0)
        // A message from one peer also keeps another's promise.
        Fixture.accept(message, &router, from: 2, now: .seconds(2))
        _ = router.heartbeat(now: .seconds(3))
        #expect(router.counters.brokenPromises == 8)
        #expect(router.score(Fixture.peer(1)) < -100)
        #expect(router.score(Fixture.peer(3)) >= 0)
        // Further offers of the peer are ignored, and it is neither offered nor sent anything.
        #expect(router.received(offer, from: Fixture.peer(1), now: .seconds(3)) == [])
        #expect(
            router.received(
                Fixture.rpc { $0.iWant = [message.id] }, from: Fixture.peer(1), now: .seconds(3)) == [])
        let own = try Fixture.message(9)
        #expect(Fixture.receivers(router.publish(own, now: .seconds(3))) == Fixture.peers(2...3))
    }

    @Test func aMessageThatIsBeingCheckedIsNotAskedFor() throws {
        var router = Fixture.meshed(2)
        let message = try Fixture.message()
        _ = router.received(Fixture.rpc { $0.messages = [message] }, from: Fixture.peer(1), now: .zero)
        let offer = Fixture.rpc { $0.iHave = [.init(topic: "t", ids: [message.id])] }
        #expect(router.received(offer, from: Fixture.peer(2), now: .zero) == [])
    }

    @Test func aShareOfManyPeersIsOfferedMessages() throws {
        var router = Fixture.meshed(6) { $0.floodPublish = false }
        for number: UInt8 in 7...206 { Fixture.join(number, &router) }
        _ = router.publish(try Fixture.message(), now: .zero)
        // A quarter of the peers outside the mesh.
        #expect(Fixture.sends(router.heartbeat(now: .seconds(1))).count == 50)
    }

    @Test func withoutFloodPublishingTheMeshAndFloodsubPeersAreServed() throws {
        var router = Fixture.meshed(9) { $0.floodPublish = false }
        Fixture.join(10, &router, .floodsub)
        let mesh = router.mesh("t")
        #expect(mesh.count == 5)
        let receivers = Fixture.receivers(router.publish(try Fixture.message(), now: .zero))
        #expect(receivers == mesh + [Fixture.peer(10)])
    }

    @Test func publishingWithoutSubscribingKeepsAFanoutForAWhile() throws {
        var router = Fixture.router()
        for number: UInt8 in 1...10 { Fixture.join(number, &router) }
        #expect(Fixture.receivers(router.publish(try Fixture.message(), now: .zero)).count == 10)
        // The four peers outside the fanout are offered the message.
        #expect(Fixture.sends(router.heartbeat(now: .seconds(1))).count == 4)
        // A peer that leaves is replaced.
        let gone = try #require(router.fanouts["t"]?.peers.first)
        router.disconnected(gone, now: .seconds(1))
        _ = router.heartbeat(now: .seconds(2))
        #expect(router.fanouts["t"]?.peers.count == 6)
        let joined = Fixture.sends(router.subscribe("t", now: .seconds(2)))
        #expect(joined.values.filter { $0.graft == ["t"] }.count == 6)
    }

    @Test func aFanoutEndsWithItsTime() throws {
        var router = Fixture.router()
        for number: UInt8 in 1...10 { Fixture.join(number, &router) }
        _ = router.publish(try Fixture.message(), now: .zero)
        _ = router.heartbeat(now: .seconds(59))
        #expect(router.fanouts.count == 1)
        _ = router.heartbeat(now: .seconds(60))
        #expect(router.fanouts.isEmpty)
    }

    @Test func whatIsAskedForComesInRPCsOfItsOwn() throws {
        var router = Fixture.meshed(1)
        var messages: [GossipMessage] = []
        for sequence in 0..<UInt64(8) {
            let message = try Fixture.message(sequence, data: [UInt8](repeating: 1, count: 300_000))
            messages.append(message)
            _ = router.publish(message, now: .zero)
        }
        let want = Fixture.rpc { $0.iWant = messages.map(\.id) }
        let actions = router.received(want, from: Fixture.peer(1), now: .zero)
        #expect(actions == messages.map { .forward($0, to: [Fixture.peer(1)], .requested) })
    }

    @Test func seenMessagesAreForgottenInTime() {
        var seen = SeenMessages()
        let first = seen.insert([1], now: .zero)
        let again = seen.insert([1], now: .seconds(119))
        let second = seen.insert([2], now: .seconds(120))
        #expect(first && !again && second)
        #expect(seen.contains([1]))
        let third = seen.insert([3], now: .seconds(240))
        #expect(third && !seen.contains([1]) && seen.contains([2]))
        let fourth = seen.insert([4], now: .seconds(600))
        #expect(fourth && !seen.contains([3]))
    }

    @Test func recentMessagesAreBoundedInBytes() throws {
        var recent = RecentMessages()
        var ids: [GossipMessage.ID] = []
        for sequence in 0..<UInt64(40) {
            let message = try Fixture.message(sequence, data: [UInt8](repeating: 0, count: 1 << 20))
            ids.append(message.id)
            recent.insert(message)
            if sequence == 20 { recent.shift() }
        }
        let kept = ids.filter { recent.message($0, for: Fixture.peer(1)) != nil }
        #expect(kept == Array(ids.suffix(kept.count)))
        #expect((14...16).contains(kept.count))
    }
}
