import Bytes
import Collections
import LibP2P
import Multiformats
import Reactor

extension Scenario {
    /// Gossip among more hosts than fit into a mesh.
    static let crowds: [Scenario] = [
        Scenario(
            "gossip-crowd",
            "Forty hosts hear one that publishes by fan-out; one without a mesh hears by IHAVE, and by flooding at once.",
            options: crowd
        ) { world in
            var lonely = GossipsubConfiguration()
            lonely.floodPublish = false
            (lonely.degree, lonely.degreeLow, lonely.degreeHigh, lonely.degreeOut) = (0, 0, 0, 0)
            let crowd = try await Crowd(
                world, 1, size: 40, Crowd.usual, others: [1: lonely, 2: GossipsubConfiguration()])
            try await crowd.publish(20, size: 100, by: 0)
            try await Reactor.sleep(for: .seconds(10))
            for (number, member) in crowd.members.enumerated() where number > 0 {
                let mesh = member.gossip.mesh(Crowd.topic).count
                try world.check(member.heard == 20, "host \(number) has heard \(member.heard) of 20 messages")
                try world.check(
                    number == 1 ? mesh == 0 : (1...12).contains(mesh), "host \(number): mesh of \(mesh)")
                try world.check(
                    member.gossip.counters.earlyGrafts == 0, "host \(number) is grafted in a back-off")
            }
            // Flooding also reaches hosts without a mesh, before any host can have offered the message.
            try await crowd.flood()
            try await Reactor.sleep(for: .milliseconds(40))
            try world.check(crowd.members[1].heard == 21, "flooding does not reach all hosts")
            await crowd.stop()
        },
        Scenario(
            "gossip-unwanted",
            "Hosts that send IDONTWANT get fewer copies of long messages than hosts that do not.",
            options: crowd
        ) { world in
            // A message is in transit long enough for an IDONTWANT to overtake it.
            world.network.defaultLink.bytesPerSecond = 100_000
            var silent = GossipsubConfiguration()
            silent.floodPublish = false
            silent.unwantedThreshold = .max
            var copies: [UInt64] = []
            for (number, configuration) in [silent, Crowd.usual].enumerated() {
                let crowd = try await Crowd(world, 1 + number, size: 20, configuration)
                try await crowd.publish(10, size: 20_000, by: 2)
                try await Reactor.sleep(for: .seconds(10))
                let heard = crowd.members.map(\.heard).reduce(0, +)
                try world.check(heard == 10 * (crowd.members.count - 2), "\(heard) messages are heard")
                copies.append(crowd.members.map(\.gossip.counters.duplicates).reduce(0, +))
                await crowd.stop()
            }
            try world.check(copies[1] < copies[0], "\(copies[1]) copies with IDONTWANT, \(copies[0]) without")
        },
        Scenario(
            "gossip-forged",
            "A node does not relay a message with an invalid signature, but relays the valid one afterwards.",
            options: crowd
        ) { world in
            let machine = world.nodes[0]
            let (forger, listener) = (try Stranger(world, 1), try Stranger(world, 2))
            forger.host.register(.meshsub11) { _ = try? await $0.readToEnd(limit: 1 << 20) }
            let gossip = Gossipsub(listener.host, firstSequence: 1)
            var heard: [PeerID] = []
            gossip.subscribe("discovery_response") { message, _ in heard.append(message.author) }
            for stranger in [forger, listener] {
                try await world.admit(stranger, at: machine)
            }
            try await Reactor.sleep(for: .seconds(5))
            let height: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0]
            let message = GossipMessage(
                topic: "discovery_response", data: height, sequence: 1, author: forger.key)
            let stream = try await forger.host.newStream(machine.key.peerID, [.meshsub11])
            for isForged in [true, false] {
                var bytes = message.rpc
                if isForged, let place = bytes.indices.first(where: { bytes[$0...].starts(with: height) }) {
                    bytes[place] = 2
                }
                try await stream.write(bytes)
                try await Reactor.sleep(for: .seconds(5))
                try world.check(
                    heard.contains(forger.id) != isForged,
                    isForged ? "a forged message is relayed" : "the valid message is not relayed")
            }
            gossip.stop()
            await world.end([forger, listener])
        },
    ]

    /// A single node, as these scenarios test hosts.
    private static let crowd: @Sendable (inout SimulationOptions) -> Void = {
        $0.validators = 1
        $0.sentries = 0
        $0.clients = 0
    }
}

/// Hosts that gossip on one topic. The first publishes without subscribing, the others are connected at random; the
/// second does not dial.
@ReactorActor
private final class Crowd {
    static let topic: RawText = "crowd"

    /// A configuration in which publishers rely on their meshes, so that these must work.
    static var usual: GossipsubConfiguration {
        var configuration = GossipsubConfiguration()
        configuration.floodPublish = false
        return configuration
    }

    @ReactorActor
    final class Member {
        let stranger: Stranger
        let gossip: Gossipsub
        fileprivate(set) var heard = 0

        init(_ stranger: Stranger, _ configuration: GossipsubConfiguration) {
            self.stranger = stranger
            gossip = Gossipsub(stranger.host, configuration: configuration, firstSequence: 1)
        }
    }

    private(set) var members: [Member] = []

    init(
        _ world: World, _ group: Int, size: Int, _ configuration: GossipsubConfiguration,
        others: [Int: GossipsubConfiguration] = [:]
    ) async throws {
        var random = SeededGenerator(seed: world.options.seed, stream: "crowd")
        for number in 0..<size {
            members.append(
                Member(
                    try Stranger(world, group * 100 + number),
                    others[number] ?? configuration))
        }
        for member in members.dropFirst() {
            member.gossip.subscribe(Self.topic) { [weak member] _, _ in member?.heard += 1 }
        }
        for (number, member) in members.enumerated() where number != 1 {
            let others = members.shuffled(using: &random).prefix(10)
            // The third always connects to the second.
            for other in others + (number == 2 ? [members[1]] : []) where other !== member {
                // The second has no connection to the first, which publishes.
                if number == 0, other === members[1] { continue }
                guard let address = other.stranger.host.listenAddresses.first else { continue }
                _ = try? await member.stranger.host.connect(
                    address.appending(.p2p(other.stranger.id)))
            }
        }
        // Let subscriptions spread and meshes form.
        try await Reactor.sleep(for: .seconds(10))
    }

    /// Makes one host publish two messages per second.
    func publish(_ count: Int, size: Int, by number: Int) async throws {
        for _ in 0..<count {
            try members[number].gossip.publish(Self.topic, [UInt8](repeating: 1, count: size))
            try await Reactor.sleep(for: .milliseconds(500))
        }
    }

    /// Makes a host that floods publish a message. It is connected to the second host.
    func flood() async throws {
        let (flooder, lonely) = (members[2], members[1])
        guard flooder.stranger.host.isConnected(lonely.stranger.id) else {
            throw CheckerFailure("scenario", "the two hosts are not connected")
        }
        try flooder.gossip.publish(Self.topic, [2])
    }

    func stop() async {
        for member in members {
            member.gossip.stop()
            await member.stranger.host.stop()
        }
    }
}

extension GossipMessage {
    /// The encoded RPC with only this message, as sent on a stream.
    var rpc: [UInt8] {
        var message = ProtobufWriter()
        message.put(2, bytes: encoded.array)
        var frame = ByteWriter()
        frame.put(uvarint: UInt64(message.bytes.count))
        frame.put(bytes: message.bytes)
        return frame.bytes
    }
}
