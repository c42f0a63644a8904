import Bytes
import Crypto
import Multiformats
import Testing

@testable import LibP2P

@Suite struct GossipsubRouterTests {
    private typealias Action = GossipsubRouter.Action
    private typealias Fixture = RouterFixture

    @Test func newPeersHearOfTopics() {
        var router = Fixture.router()
        _ = router.subscribe("a", now: .zero)
        #expect(
            router.connected(Fixture.peer(1), protocolID: .meshsub11) == [
                .send(Fixture.peer(1), Fixture.joins("a"))
            ])
        #expect(router.subscribe("b", now: .zero) == [.send(Fixture.peer(1), Fixture.joins("b"))])
        #expect(router.subscribe("b", now: .zero) == [])
        #expect(router.subscriptions == ["a", "b"])
        #expect(
            router.unsubscribe("a", now: .zero) == [
                .send(
                    Fixture.peer(1), Fixture.rpc { $0.subscriptions = [.init(subscribe: false, topic: "a")] })
            ])
    }

    @Test func aSubscriberIsGraftedAtOnceWhileTheMeshIsSmall() {
        var router = Fixture.router()
        _ = router.subscribe("t", now: .zero)
        for number: UInt8 in 1...8 {
            _ = router.connected(Fixture.peer(number), protocolID: .meshsub12)
            let actions = router.received(Fixture.joins("t"), from: Fixture.peer(number), now: .zero)
            let expected: [Action] =
                number <= 5 ? [.send(Fixture.peer(number), Fixture.rpc { $0.graft = ["t"] })] : []
            #expect(actions == expected)
        }
        #expect(router.mesh("t").count == 5)
        #expect(router.subscribers("t").count == 8)
    }

    @Test func floodsubPeersAreNotMeshedButServed() throws {
        var router = Fixture.router()
        _ = router.subscribe("t", now: .zero)
        _ = router.connected(Fixture.peer(1), protocolID: .floodsub)
        #expect(router.received(Fixture.joins("t"), from: Fixture.peer(1), now: .zero) == [])
        #expect(router.mesh("t") == [])
        let message = try Fixture.message()
        #expect(router.publish(message, now: .zero) == [.forward(message, to: [Fixture.peer(1)], .own)])
        #expect(
            router.received(Fixture.graft, from: Fixture.peer(1), now: .zero) == [Fixture.refusal(1)])
        Fixture.join(2, &router)
        let other = try Fixture.message(2)
        let receivers = Fixture.receivers(Fixture.accept(other, &router, from: 2))
        #expect(receivers == [Fixture.peer(1)])
    }

    @Test func aMessageIsValidatedDeliveredAndPassedOnOnce() throws {
        var router = Fixture.meshed(3)
        let message = try Fixture.message()
        let arrival = Fixture.rpc { $0.messages = [message] }
        #expect(Fixture.bring(message, &router, from: 1) == [.validate(message, from: Fixture.peer(1))])
        // A copy from another peer, before and after the verdict: the message is not sent to a peer that has it.
        #expect(router.received(arrival, from: Fixture.peer(2), now: .zero) == [])
        #expect(
            router.validated(message, from: Fixture.peer(1), .accept, now: .zero) == [
                .deliver(message, from: Fixture.peer(1)),
                .forward(message, to: [Fixture.peer(3)], .relayed),
            ])
        #expect(router.received(arrival, from: Fixture.peer(3), now: .seconds(119)) == [])
        #expect(router.counters.accepted == 1 && router.counters.duplicates == 2)
    }

    @Test func aForgedMessageDoesNotKeepOutTheTrueOne() throws {
        var router = Fixture.meshed(3)
        let message = try Fixture.message()
        let forged = try GossipMessage(decoding: Self.withOtherData(message))
        #expect(forged.id == message.id)
        let forgery = Fixture.rpc { $0.messages = [forged] }
        let truth = Fixture.rpc { $0.messages = [message] }
        #expect(
            router.received(forgery, from: Fixture.peer(1), now: .zero) == [
                .verify(forged, from: Fixture.peer(1))
            ])
        #expect(
            router.received(truth, from: Fixture.peer(2), now: .zero) == [
                .verify(message, from: Fixture.peer(2))
            ])
        // The same bytes are verified once.
        #expect(router.received(truth, from: Fixture.peer(3), now: .zero) == [])
        #expect(router.verified(forged, from: Fixture.peer(1), isSigned: false, now: .zero) == [])
        #expect(
            router.verified(message, from: Fixture.peer(2), isSigned: true, now: .zero) == [
                .validate(message, from: Fixture.peer(2))
            ])
        #expect(router.score(Fixture.peer(1)) < 0)
        #expect(router.score(Fixture.peer(2)) == 0 && router.score(Fixture.peer(3)) == 0)
    }

    /// Returns the message's bytes with one byte of other data, which its author has not signed.
    private static func withOtherData(_ message: GossipMessage) throws -> SharedBytes {
        var writer = ProtobufWriter()
        var reader = ProtobufReader(message.encoded)
        while let field = try reader.next() {
            if field.number == 2 {
                writer.put(2, bytes: [0xee] as [UInt8])
            } else {
                writer.put(field.number, bytes: try field.bytes)
            }
        }
        return SharedBytes(writer.bytes)
    }

    @Test(arguments: [GossipsubRouter.Verdict.reject, .ignore])
    func aMessageThatIsNotAcceptedGoesNowhere(_ verdict: GossipsubRouter.Verdict) throws {
        var router = Fixture.meshed(3)
        let message = try Fixture.message()
        _ = Fixture.bring(message, &router, from: 1)
        #expect(router.validated(message, from: Fixture.peer(1), verdict, now: .zero) == [])
        #expect(
            router.received(Fixture.rpc { $0.iWant = [message.id] }, from: Fixture.peer(2), now: .zero) == [])
    }

    @Test func messagesForOthersAndTooLongOnesAreDropped() throws {
        var router = Fixture.meshed(2) { $0.maximumData = 10 }
        let other = try Fixture.message(topic: "other")
        #expect(
            router.received(Fixture.rpc { $0.messages = [other] }, from: Fixture.peer(1), now: .zero) == [])
        let long = try Fixture.message(data: [UInt8](repeating: 0, count: 11))
        #expect(
            router.received(Fixture.rpc { $0.messages = [long] }, from: Fixture.peer(1), now: .zero) == [])
        let stranger = Fixture.rpc { $0.messages = [other] }
        #expect(router.received(stranger, from: Fixture.peer(9), now: .zero) == [])
    }

    @Test func whatComesInThisHostsNameGoesNoFurther() throws {
        let key = try PrivateKey.generate(.ed25519)
        var router = GossipsubRouter(key.publicKey.peerID, seed: 1)
        _ = router.subscribe("t", now: .zero)
        _ = router.connected(Fixture.peer(1), protocolID: .meshsub11)
        let forged = GossipMessage(topic: "t", data: [], sequence: 1, author: key)
        let foreign = Fixture.rpc { $0.messages = [forged] }
        #expect(
            router.received(foreign, from: Fixture.peer(1), now: .zero) == [
                .foreign(forged, from: Fixture.peer(1))
            ], "its host may look who that is")
        _ = router.publish(forged, now: .zero)
        #expect(router.received(foreign, from: Fixture.peer(1), now: .zero) == [], "an echo")
    }

    @Test func publishingReachesEverySubscriber() throws {
        var router = Fixture.meshed(9)
        _ = router.connected(Fixture.peer(20), protocolID: .meshsub11)
        let message = try Fixture.message()
        #expect(
            router.publish(message, now: .zero) == [.forward(message, to: Fixture.peers(1...9), .own)])
        #expect(router.publish(message, now: .zero) == [])
    }

    @Test func pendingMessagesAreBounded() throws {
        let key = try PrivateKey.generate(.ed25519)
        func messages(_ first: UInt64, _ count: Int, size: Int = 0) -> [GossipMessage] {
            (first..<(first + UInt64(count))).map {
                GossipMessage(
                    topic: "t", data: [UInt8](repeating: 0, count: size), sequence: $0, author: key)
            }
        }
        var router = Fixture.meshed(6)
        let flood = messages(0, GossipsubLimits.pendingPerPeer + 1)
        let arrival = Fixture.rpc { $0.messages = flood }
        #expect(router.received(arrival, from: Fixture.peer(1), now: .zero).count == flood.count - 1)
        #expect(router.counters.overflowed == 1)
        // The dropped message is accepted from another peer, which has room.
        let late = try #require(flood.last)
        let again = Fixture.rpc { $0.messages = [late] }
        #expect(
            router.received(again, from: Fixture.peer(2), now: .zero) == [
                .verify(late, from: Fixture.peer(2))
            ])
        let first = try #require(flood.first)
        _ = router.verified(first, from: Fixture.peer(1), isSigned: false, now: .zero)
        #expect(
            router.received(
                Fixture.rpc { $0.messages = messages(1 << 32, 2) }, from: Fixture.peer(1), now: .zero
            ).count == 1)
        // Bytes count too.
        let large = Fixture.rpc { $0.messages = messages(1 << 33, 9, size: 1_000_000) }
        #expect(router.received(large, from: Fixture.peer(3), now: .zero).count == 8)
    }

    @Test func subscriptionsOfAPeerAreBounded() {
        var router = Fixture.router()
        _ = router.connected(Fixture.peer(1), protocolID: .meshsub11)
        for number in 0..<200 {
            _ = router.received(Fixture.joins("topic \(number)"), from: Fixture.peer(1), now: .zero)
        }
        #expect(router.subscribers("topic 127") == [Fixture.peer(1)])
        #expect(router.subscribers("topic 128") == [])
        _ = router.received(
            Fixture.rpc { $0.subscriptions = [.init(subscribe: false, topic: "topic 0")] },
            from: Fixture.peer(1),
            now: .zero)
        #expect(router.subscribers("topic 0") == [])
        _ = router.received(Fixture.joins("topic 128"), from: Fixture.peer(1), now: .zero)
        #expect(router.subscribers("topic 128") == [Fixture.peer(1)])
    }

    @Test func twoRoutersWithOneSeedChooseAlike() {
        func run() -> [PeerID] {
            var router = Fixture.router()
            for number: UInt8 in 1...30 {
                _ = router.connected(Fixture.peer(number), protocolID: .meshsub11)
                _ = router.received(Fixture.joins("t"), from: Fixture.peer(number), now: .zero)
            }
            _ = router.subscribe("t", now: .zero)
            return router.mesh("t")
        }
        #expect(run() == run())
    }
}
