import Bytes
import Crypto
import Multiformats

@testable import LibP2P

/// Peers, RPCs and routers for tables of events.
enum RouterFixture {
    typealias Action = GossipsubRouter.Action

    static let own = peer(0)

    static func peer(_ number: UInt8) -> PeerID {
        do {
            return try PeerID(publicKeyProtobuf: [UInt8](repeating: number, count: 36))
        } catch {
            preconditionFailure("36 bytes are a peer ID's")
        }
    }

    static func peers(_ numbers: ClosedRange<UInt8>) -> [PeerID] { numbers.map { peer($0) } }

    static func router(_ change: (inout GossipsubConfiguration) -> Void = { _ in }) -> GossipsubRouter {
        var configuration = GossipsubConfiguration()
        change(&configuration)
        return GossipsubRouter(own, configuration: configuration, seed: 1)
    }

    static func rpc(_ fill: (inout GossipRPC) -> Void) -> GossipRPC {
        var rpc = GossipRPC()
        fill(&rpc)
        return rpc
    }

    static func joins(_ topics: RawText...) -> GossipRPC {
        rpc { $0.subscriptions = topics.map { .init(subscribe: true, topic: $0) } }
    }

    static let graft = rpc { $0.graft = ["t"] }

    /// A PRUNE with the default backoff.
    static func refusal(_ number: UInt8, backoff: UInt64 = 60) -> Action {
        .send(peer(number), rpc { $0.prune = [.init(topic: "t", backoff: backoff)] })
    }

    static func message(_ sequence: UInt64 = 1, data: [UInt8] = [1], topic: RawText = "t") throws
        -> GossipMessage
    {
        GossipMessage(topic: topic, data: data, sequence: sequence, author: try .generate(.ed25519))
    }

    /// Returns RPCs by receiver.
    static func sends(_ actions: [Action]) -> [PeerID: GossipRPC] {
        var sends: [PeerID: GossipRPC] = [:]
        for case .send(let peer, let rpc) in actions { sends[peer] = rpc }
        return sends
    }

    /// Returns the receivers of messages.
    static func receivers(_ actions: [Action]) -> [PeerID] {
        var receivers: [PeerID] = []
        for case .forward(_, let peers, _) in actions { receivers += peers }
        return receivers
    }

    /// Creates a router in topic "t", which peers 1...`count` have joined, too.
    static func meshed(_ count: UInt8, _ change: (inout GossipsubConfiguration) -> Void = { _ in })
        -> GossipsubRouter
    {
        var router = router(change)
        _ = router.subscribe("t", now: .zero)
        for number in 1...count { join(number, &router) }
        return router
    }

    static func join(
        _ number: UInt8, _ router: inout GossipsubRouter, _ id: ProtocolID = .meshsub11,
        isOutbound: Bool = false, address: String? = nil, now: Duration = .zero
    ) {
        _ = router.connected(peer(number), protocolID: id, isOutbound: isOutbound, address: address)
        _ = router.received(joins("t"), from: peer(number), now: now)
    }

    /// Lets a peer send a message and finds it signed.
    static func bring(
        _ message: GossipMessage, _ router: inout GossipsubRouter, from number: UInt8, now: Duration = .zero
    ) -> [Action] {
        let arrival = rpc { $0.messages = [message] }
        guard router.received(arrival, from: peer(number), now: now) == [.verify(message, from: peer(number))]
        else { return [] }
        return router.verified(message, from: peer(number), isSigned: true, now: now)
    }

    /// Lets a peer send a message and accepts it.
    @discardableResult
    static func accept(
        _ message: GossipMessage, _ router: inout GossipsubRouter, from number: UInt8, now: Duration = .zero
    ) -> [Action] {
        _ = bring(message, &router, from: number, now: now)
        return router.validated(message, from: peer(number), .accept, now: now)
    }

    /// Lets a peer send messages and rejects them.
    static func reject(
        _ count: Int, _ router: inout GossipsubRouter, from number: UInt8, now: Duration = .zero
    ) throws {
        for sequence in 0..<UInt64(count) {
            let message = try message(1_000 + sequence)
            _ = bring(message, &router, from: number, now: now)
            _ = router.validated(message, from: peer(number), .reject, now: now)
        }
    }
}
