import Crypto
import Multiformats
import Testing

@testable import LibP2P

@Suite struct GossipsubRouterTests {
    private typealias Action = GossipsubRouter.Action

    private static func peer(_ number: UInt8) -> PeerID {
        do {
            return try PeerID(publicKeyProtobuf: [UInt8](repeating: number, count: 36))
        } catch {
            preconditionFailure("36 bytes are a peer ID's")
        }
    }

    private static let own = peer(0)

    private func router(_ change: (inout GossipsubConfiguration) -> Void = { _ in }) -> GossipsubRouter {
        var configuration = GossipsubConfiguration()
        change(&configuration)
        return GossipsubRouter(Self.own, configuration: configuration, seed: 1)
    }

    private func rpc(_ fill: (inout GossipRPC) -> Void) -> GossipRPC {
        var rpc = GossipRPC()
        fill(&rpc)
        return rpc
    }

    private func joins(_ topics: String...) -> GossipRPC {
        rpc { $0.subscriptions = topics.map { .init(subscribe: true, topic: $0) } }
    }

    private func message(_ sequence: UInt64 = 1, data: [UInt8] = [1], topic: String = "t") throws
        -> GossipMessage
    {
        GossipMessage(topic: topic, data: data, sequence: sequence, author: try .generate(.ed25519))
    }

    /// RPCs by receiver.
    private func sends(_ actions: [Action]) -> [PeerID: GossipRPC] {
        var sends: [PeerID: GossipRPC] = [:]
        for case .send(let peer, let rpc) in actions { sends[peer] = rpc }
        return sends
    }

    /// A router in topic "t" whose peers 1...count have joined it too.
    private func meshed(_ count: UInt8, _ change: (inout GossipsubConfiguration) -> Void = { _ in })
        -> GossipsubRouter
    {
        var router = router(change)
        _ = router.subscribe("t", now: .zero)
        for number in 1...count {
            _ = router.connected(Self.peer(number), protocolID: .meshsub11)
            _ = router.received(joins("t"), from: Self.peer(number), now: .zero)
        }
        return router
    }

    /// What becomes of a message that a peer brings and that is signed.
    private func bring(
        _ message: GossipMessage, _ router: inout GossipsubRouter, from peer: PeerID, now: Duration = .zero
    ) -> [Action] {
        let arrival = rpc { $0.messages = [message] }
        guard router.received(arrival, from: peer, now: now) == [.verify(message, from: peer)] else {
            return []
        }
        return router.verified(message, from: peer, isSigned: true, now: now)
    }

    @Test func newPeersHearOfTopics() {
        var router = router()
        _ = router.subscribe("a", now: .zero)
        #expect(router.connected(Self.peer(1), protocolID: .meshsub11) == [.send(Self.peer(1), joins("a"))])
        #expect(router.subscribe("b", now: .zero) == [.send(Self.peer(1), joins("b"))])
        #expect(router.subscribe("b", now: .zero) == [])
        #expect(router.subscriptions == ["a", "b"])
        #expect(
            router.unsubscribe("a", now: .zero) == [
                .send(Self.peer(1), rpc { $0.subscriptions = [.init(subscribe: false, topic: "a")] })
            ])
    }

    @Test func aSubscriberIsGraftedAtOnceWhileTheMeshIsSmall() {
        var router = router()
        _ = router.subscribe("t", now: .zero)
        for number: UInt8 in 1...8 {
            _ = router.connected(Self.peer(number), protocolID: .meshsub12)
            let actions = router.received(joins("t"), from: Self.peer(number), now: .zero)
            let expected: [Action] = number <= 5 ? [.send(Self.peer(number), rpc { $0.graft = ["t"] })] : []
            #expect(actions == expected)
        }
        #expect(router.mesh("t").count == 5)
        #expect(router.subscribers("t").count == 8)
    }

    @Test func floodsubPeersAreNotMeshedButServed() throws {
        var router = router()
        _ = router.subscribe("t", now: .zero)
        _ = router.connected(Self.peer(1), protocolID: .floodsub)
        #expect(router.received(joins("t"), from: Self.peer(1), now: .zero) == [])
        #expect(router.mesh("t") == [])
        let message = try message()
        #expect(router.publish(message, now: .zero) == [.send(Self.peer(1), rpc { $0.messages = [message] })])
        #expect(
            router.received(rpc { $0.graft = ["t"] }, from: Self.peer(1), now: .zero) == [
                .send(Self.peer(1), rpc { $0.prune = [.init(topic: "t", backoff: 60)] })
            ])
    }

    @Test func aMessageIsValidatedDeliveredAndPassedOnOnce() throws {
        var router = meshed(3)
        let message = try message()
        let arrival = rpc { $0.messages = [message] }
        #expect(bring(message, &router, from: Self.peer(1)) == [.validate(message, from: Self.peer(1))])
        // Again, from another peer, before and after the verdict.
        #expect(router.received(arrival, from: Self.peer(2), now: .zero) == [])
        #expect(
            router.validated(message, from: Self.peer(1), .accept, now: .zero) == [
                .deliver(message, from: Self.peer(1)),
                .send(Self.peer(2), arrival), .send(Self.peer(3), arrival),
            ])
        #expect(router.received(arrival, from: Self.peer(3), now: .seconds(119)) == [])
    }

    @Test func aForgedMessageDoesNotKeepOutTheTrueOne() throws {
        var router = meshed(3)
        let message = try message()
        let arrival = rpc { $0.messages = [message] }
        for number: UInt8 in [1, 2, 3] {
            let peer = Self.peer(number)
            #expect(router.received(arrival, from: peer, now: .zero) == [.verify(message, from: peer)])
        }
        #expect(router.verified(message, from: Self.peer(1), isSigned: false, now: .zero) == [])
        #expect(
            router.verified(message, from: Self.peer(2), isSigned: true, now: .zero) == [
                .validate(message, from: Self.peer(2))
            ])
        #expect(router.verified(message, from: Self.peer(3), isSigned: true, now: .zero) == [])
    }

    @Test(arguments: [GossipsubRouter.Verdict.reject, .ignore])
    func aMessageThatIsNotAcceptedGoesNowhere(_ verdict: GossipsubRouter.Verdict) throws {
        var router = meshed(3)
        let message = try message()
        _ = bring(message, &router, from: Self.peer(1))
        #expect(router.validated(message, from: Self.peer(1), verdict, now: .zero) == [])
        #expect(router.received(rpc { $0.iWant = [message.id] }, from: Self.peer(2), now: .zero) == [])
    }

    @Test func messagesForOthersAndTooLongOnesAreDropped() throws {
        var router = meshed(2) { $0.maximumData = 10 }
        let other = try message(topic: "other")
        #expect(router.received(rpc { $0.messages = [other] }, from: Self.peer(1), now: .zero) == [])
        let long = try message(data: [UInt8](repeating: 0, count: 11))
        #expect(router.received(rpc { $0.messages = [long] }, from: Self.peer(1), now: .zero) == [])
        let stranger = rpc { $0.messages = [other] }
        #expect(router.received(stranger, from: Self.peer(9), now: .zero) == [])
    }

    @Test func ownMessagesComingBackAreDropped() throws {
        let key = try PrivateKey.generate(.ed25519)
        var router = GossipsubRouter(key.publicKey.peerID, seed: 1)
        _ = router.subscribe("t", now: .zero)
        _ = router.connected(Self.peer(1), protocolID: .meshsub11)
        let forged = GossipMessage(topic: "t", data: [], sequence: 1, author: key)
        #expect(router.received(rpc { $0.messages = [forged] }, from: Self.peer(1), now: .zero) == [])
    }

    @Test func publishingReachesEverySubscriber() throws {
        var router = meshed(9)
        _ = router.connected(Self.peer(20), protocolID: .meshsub11)
        let message = try message()
        let sends = sends(router.publish(message, now: .zero))
        #expect(Set(sends.keys) == Set((1...9).map { Self.peer($0) }))
        #expect(sends.values.allSatisfy { $0.messages == [message] })
        #expect(router.publish(message, now: .zero) == [])
    }

    @Test func pendingValidationsAreBounded() throws {
        var router = meshed(1)
        let key = try PrivateKey.generate(.ed25519)
        var first: GossipMessage?
        for sequence in 0..<UInt64(GossipsubLimits.pendingValidations) {
            let message = GossipMessage(topic: "t", data: [], sequence: sequence, author: key)
            first = first ?? message
            #expect(
                router.received(rpc { $0.messages = [message] }, from: Self.peer(1), now: .zero).count == 1)
        }
        let late = GossipMessage(topic: "t", data: [], sequence: 1_000_000, author: key)
        let arrival = rpc { $0.messages = [late] }
        #expect(router.received(arrival, from: Self.peer(1), now: .zero) == [])
        _ = router.validated(try #require(first), from: Self.peer(1), .ignore, now: .zero)
        #expect(
            router.received(arrival, from: Self.peer(1), now: .zero) == [.verify(late, from: Self.peer(1))])
    }

    @Test func graftsArePrunedWhenTheMeshIsFull() {
        var router = meshed(5) { $0.degreeHigh = 5 }
        _ = router.connected(Self.peer(6), protocolID: .meshsub11)
        let graft = rpc { $0.graft = ["t"] }
        let refusal = [Action.send(Self.peer(6), rpc { $0.prune = [.init(topic: "t", backoff: 60)] })]
        #expect(router.received(graft, from: Self.peer(6), now: .zero) == refusal)
        router.disconnected(Self.peer(1))
        // Still in its back-off, then not.
        #expect(router.received(graft, from: Self.peer(6), now: .seconds(59)) == refusal)
        #expect(router.received(graft, from: Self.peer(6), now: .seconds(120)) == [])
        #expect(router.mesh("t").contains(Self.peer(6)))
    }

    @Test func graftsForUnknownTopicsAreNotAnswered() {
        var router = meshed(1)
        #expect(router.received(rpc { $0.graft = ["x"] }, from: Self.peer(1), now: .zero) == [])
    }

    @Test func aPrunedPeerIsLeftAloneForItsBackoff() {
        var router = meshed(1)
        #expect(router.mesh("t") == [Self.peer(1)])
        let prune = rpc { $0.prune = [.init(topic: "t", backoff: 90)] }
        #expect(router.received(prune, from: Self.peer(1), now: .seconds(1)) == [])
        #expect(router.mesh("t") == [])
        #expect(router.heartbeat(now: .seconds(90)) == [])
        #expect(router.heartbeat(now: .seconds(91)) == [.send(Self.peer(1), rpc { $0.graft = ["t"] })])
    }

    @Test func backoffsOfAnySizeAreTaken() {
        for seconds in [0, 1, UInt64(Int64.max), .max] {
            var router = meshed(1)
            let prune = rpc { $0.prune = [.init(topic: "t", backoff: seconds)] }
            _ = router.received(prune, from: Self.peer(1), now: .zero)
            #expect(router.mesh("t") == [])
            #expect(router.heartbeat(now: .seconds(3_601)).count == 1)
        }
    }

    @Test func heartbeatFillsASmallMesh() {
        var router = router()
        for number: UInt8 in 1...20 {
            _ = router.connected(Self.peer(number), protocolID: .meshsub11)
            _ = router.received(joins("t"), from: Self.peer(number), now: .zero)
        }
        let joining = sends(router.subscribe("t", now: .zero))
        #expect(joining.count == 20)
        #expect(joining.values.filter { $0.graft == ["t"] }.count == 6)
        for peer in router.mesh("t").prefix(3) { router.disconnected(peer) }
        #expect(router.mesh("t").count == 3)
        #expect(router.heartbeat(now: .seconds(1)).count == 3)
        #expect(router.mesh("t").count == 6)
    }

    @Test func heartbeatCutsALargeMesh() {
        var router = meshed(14) { $0.degreeHigh = 20 }
        for number: UInt8 in 1...14 {
            _ = router.received(rpc { $0.graft = ["t"] }, from: Self.peer(number), now: .zero)
        }
        #expect(router.mesh("t").count == 14)
        #expect(router.heartbeat(now: .seconds(1)) == [])
        var small = meshed(12)
        for number: UInt8 in 1...12 {
            _ = small.received(rpc { $0.graft = ["t"] }, from: Self.peer(number), now: .zero)
        }
        #expect(small.mesh("t").count == 12)
        #expect(small.heartbeat(now: .seconds(1)) == [])
        var big = meshed(13) { $0.degreeHigh = 12 }
        for number: UInt8 in 1...13 {
            _ = big.received(rpc { $0.graft = ["t"] }, from: Self.peer(number), now: .zero)
        }
        #expect(big.mesh("t").count == 12)
    }

    @Test func offersGoToPeersOutsideTheMeshAndAreServedThreeTimes() throws {
        var router = meshed(5)
        for number: UInt8 in 6...9 {
            _ = router.connected(Self.peer(number), protocolID: .meshsub11)
            _ = router.received(joins("t"), from: Self.peer(number), now: .zero)
        }
        let message = try message()
        _ = bring(message, &router, from: Self.peer(1))
        _ = router.validated(message, from: Self.peer(1), .accept, now: .zero)
        for beat in 1...3 {
            let offers = sends(router.heartbeat(now: .seconds(beat)))
            #expect(Set(offers.keys) == Set((6...9).map { Self.peer($0) }))
            #expect(offers.values.allSatisfy { $0.iHave == [.init(topic: "t", ids: [message.id])] })
        }
        #expect(router.heartbeat(now: .seconds(4)) == [])
        let want = rpc { $0.iWant = [message.id, [9, 9]] }
        let answer = [Action.send(Self.peer(7), rpc { $0.messages = [message] })]
        for _ in 0..<3 { #expect(router.received(want, from: Self.peer(7), now: .seconds(4)) == answer) }
        #expect(router.received(want, from: Self.peer(7), now: .seconds(4)) == [])
        _ = router.heartbeat(now: .seconds(5))
        #expect(router.received(want, from: Self.peer(8), now: .seconds(5)) == [])
    }

    @Test func unknownOffersAreAskedFor() throws {
        var router = meshed(2)
        let known = try message()
        _ = router.publish(known, now: .zero)
        let offer = rpc {
            $0.iHave = [.init(topic: "t", ids: [known.id, [1], [2]]), .init(topic: "x", ids: [[3]])]
        }
        #expect(
            router.received(offer, from: Self.peer(1), now: .zero) == [
                .send(Self.peer(1), rpc { $0.iWant = [[1], [2]] })
            ])
        // A peer that offers without end is not listened to before the next heartbeat.
        for _ in 1..<GossipsubLimits.offersPerHeartbeat {
            _ = router.received(offer, from: Self.peer(1), now: .zero)
        }
        #expect(router.received(offer, from: Self.peer(1), now: .zero) == [])
        _ = router.heartbeat(now: .seconds(1))
        #expect(router.received(offer, from: Self.peer(1), now: .seconds(1)).count == 1)
    }

    @Test func unwantedMessagesAreNotSent() throws {
        var router = router()
        _ = router.subscribe("t", now: .zero)
        for (number, id) in [(1, ProtocolID.meshsub12), (2, .meshsub12), (3, .meshsub11)]
            as [(UInt8, ProtocolID)]
        {
            _ = router.connected(Self.peer(number), protocolID: id)
            _ = router.received(joins("t"), from: Self.peer(number), now: .zero)
        }
        let message = try message()
        for number: UInt8 in [1, 3] {
            _ = router.received(rpc { $0.iDontWant = [message.id] }, from: Self.peer(number), now: .zero)
        }
        #expect(Set(sends(router.publish(message, now: .zero)).keys) == [Self.peer(2), Self.peer(3)])
    }

    @Test func publishingWithoutSubscribingKeepsAFanoutForAWhile() throws {
        var router = router()
        for number: UInt8 in 1...10 {
            _ = router.connected(Self.peer(number), protocolID: .meshsub11)
            _ = router.received(joins("t"), from: Self.peer(number), now: .zero)
        }
        #expect(sends(router.publish(try message(), now: .zero)).count == 10)
        // The four that are not in the fanout are offered the message.
        #expect(sends(router.heartbeat(now: .seconds(1))).count == 4)
        let joined = sends(router.subscribe("t", now: .seconds(2)))
        #expect(joined.values.filter { $0.graft == ["t"] }.count == 6)
    }

    @Test func subscriptionsOfAPeerAreBounded() {
        var router = router()
        _ = router.connected(Self.peer(1), protocolID: .meshsub11)
        for number in 0..<200 {
            _ = router.received(joins("topic \(number)"), from: Self.peer(1), now: .zero)
        }
        #expect(router.subscribers("topic 127") == [Self.peer(1)])
        #expect(router.subscribers("topic 128") == [])
        _ = router.received(
            rpc { $0.subscriptions = [.init(subscribe: false, topic: "topic 0")] }, from: Self.peer(1),
            now: .zero)
        #expect(router.subscribers("topic 0") == [])
        _ = router.received(joins("topic 128"), from: Self.peer(1), now: .zero)
        #expect(router.subscribers("topic 128") == [Self.peer(1)])
    }

    @Test func manyMessagesAreSplitIntoRPCsWithinTheLimit() throws {
        var router = meshed(1)
        var ids: [GossipMessage.ID] = []
        for sequence in 0..<UInt64(8) {
            let message = try message(sequence, data: [UInt8](repeating: 1, count: 300_000))
            ids.append(message.id)
            _ = router.publish(message, now: .zero)
        }
        let actions = router.received(rpc { $0.iWant = ids }, from: Self.peer(1), now: .zero)
        var received: [GossipMessage.ID] = []
        for case .send(_, let rpc) in actions {
            #expect(rpc.encoded.count <= GossipRPC.maximumSize)
            received += rpc.messages.map(\.id)
        }
        #expect(received == ids)
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
            let message = try message(sequence, data: [UInt8](repeating: 0, count: 1 << 20))
            ids.append(message.id)
            recent.insert(message)
            if sequence == 20 { recent.shift() }
        }
        let kept = ids.filter { recent.message($0, for: Self.peer(1)) != nil }
        #expect(kept == Array(ids.suffix(kept.count)))
        #expect((14...16).contains(kept.count))
    }

    @Test func twoRoutersWithOneSeedChooseAlike() {
        func run() -> [PeerID] {
            var router = router()
            for number: UInt8 in 1...30 {
                _ = router.connected(Self.peer(number), protocolID: .meshsub11)
                _ = router.received(joins("t"), from: Self.peer(number), now: .zero)
            }
            _ = router.subscribe("t", now: .zero)
            return router.mesh("t")
        }
        #expect(run() == run())
    }
}
