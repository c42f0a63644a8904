import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor

extension Scenario {
    /// Peers whose messages cost more to receive than to send, or that never complete what they begin.
    static let cheapMessages: [Scenario] = [
        Scenario(
            "rapid-reset",
            "A peer that opens and resets streams endlessly is disconnected, and other peers notice nothing.",
            options: { $0.clients = 0 }
        ) { world in
            let sentry = world.nodes[4]
            try await world.endures(sentry) { stranger, peer in
                for _ in 0..<500 where stranger.host.isConnected(peer) {
                    guard let stream = try? await stranger.host.newStream(peer, [.ping]) else { return }
                    stream.closeWrite()
                    stream.reset()
                }
            }
        },
        Scenario(
            "refused-protocols", "A peer that keeps requesting unknown protocols is disconnected.",
            options: { $0.clients = 0 }
        ) { world in
            let sentry = world.nodes[4]
            let offers = (0..<60).map { ProtocolID("/nothing/\($0)") }
            try await world.endures(sentry) { stranger, peer in
                for _ in 0..<30 where stranger.host.isConnected(peer) {
                    Reactor.spawn { (try? await stranger.host.newStream(peer, offers))?.reset() }
                }
            }
        },
        Scenario(
            "identify-push-flood",
            "A peer that pushes its protocols endlessly is heard a few times and then disconnected.",
            options: { $0.clients = 0 }
        ) { world in
            let sentry = world.nodes[4]
            var number = 0
            try await world.endures(sentry) { stranger, peer in
                for _ in 0..<30 where stranger.host.isConnected(peer) {
                    number += 1
                    await stranger.push(number, to: peer)
                }
            }
        },
        Scenario(
            "half-sent",
            "A peer that sends only the beginnings of many transactions is cut off, and costs no memory afterwards.",
            options: { $0.clients = 0 }
        ) { world in
            let sentry = world.nodes[4]
            let stranger = try Stranger(world, 1)
            try await world.admit(stranger, at: sentry)
            let peer = sentry.key.peerID
            for number in 0..<12 {
                Reactor.spawn { await stranger.sendHalf(number, size: 300_000, to: peer) }
            }
            var most = 0
            try await world.expect("the memory held for the stranger is not released", within: .seconds(60)) {
                let held = sentry.node?.holdings.first { $0.name == "bytes held for peers" }?.amount ?? 0
                most = max(most, held)
                return most > 3_000_000 && held == 0
            }
            try await world.grow(3)
            await world.end([stranger])
        },
    ]
}

extension World {
    /// Makes a stranger repeat an attack on a machine until the machine disconnects it, and checks that another peer
    /// is served meanwhile and the chain grows.
    func endures(
        _ machine: SimulatedNode, _ attack: (Stranger, PeerID) async -> Void
    ) async throws {
        let (stranger, neighbour) = (try Stranger(self, 1), try Stranger(self, 2))
        for one in [stranger, neighbour] { try await admit(one, at: machine) }
        let peer = machine.key.peerID
        let quiet = try await neighbour.host.ping(peer)
        let tip = chain.tip
        try await expect("the stranger is not disconnected", within: .seconds(20)) {
            await attack(stranger, peer)
            return !stranger.host.isConnected(peer)
        }
        try check(try await neighbour.host.ping(peer) <= quiet * 3, "the neighbour is not served")
        try check(neighbour.isPeer(of: machine), "the neighbour is disconnected")
        try await expect("the chain does not grow") { chain.tip > tip }
        await end([stranger, neighbour])
    }
}

extension Stranger {
    /// Pushes a list of protocols to a peer, a different one for each number.
    func push(_ number: Int, to peer: PeerID) async {
        let info = IdentifyInfo(
            agentVersion: "stranger \(number)", publicKey: key.publicKey,
            protocols: [.identifyPush, ProtocolID("/number/\(number)")])
        guard let stream = try? await host.newStream(peer, [.identifyPush]) else { return }
        try? await Identify.send(info, on: stream)
    }

    /// Announces a transaction that does not exist, and sends `size` bytes of it on request.
    func sendHalf(_ number: Int, size: Int, to peer: PeerID) async {
        let id = Hash.sha256(of: Array("\(host.peerID) \(number)".utf8))
        guard let stream = try? await host.newStream(peer, [TransactionAnnouncementProtocol.id]) else {
            return
        }
        stream.setTimeout(.seconds(60))
        try? await stream.write(Array("txann:\(id)".utf8))
        guard (try? await stream.readExactly(3)) != nil else { return stream.reset() }
        try? await stream.write([UInt8](repeating: 1, count: size))
        _ = try? await stream.read(upTo: 1)
        stream.reset()
    }
}
