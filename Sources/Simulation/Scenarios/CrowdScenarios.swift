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
            "Forty hosts hear one that publishes by fan-out; one without a mesh hears by offers, and floods at once.",
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
            // Its own flood of messages reaches also who is in no mesh, before anybody can have offered them.
            try await crowd.flood()
            try await Reactor.sleep(for: .milliseconds(40))
            try world.check(crowd.members[1].heard == 21, "who floods does not reach everybody")
            await crowd.stop()
        },
        Scenario(
            "gossip-unwanted",
            "Hosts that tell what they no longer want get fewer copies of long messages than hosts that do not.",
            options: crowd
        ) { world in
            // A message is on its way long enough for a word to arrive before it.
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
            try world.check(copies[1] < copies[0], "\(copies[1]) copies, without the word \(copies[0])")
        },
        Scenario(
            "gossip-forged",
            "A node passes on nothing whose signature is wrong, and the true message all the same afterwards.",
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
                    isForged ? "a forged message is passed on" : "the true message is not passed on")
            }
            gossip.stop()
            await world.end([forger, listener])
        },
    ]

    /// Nodes are not what matters.
    private static let crowd: @Sendable (inout SimulationOptions) -> Void = {
        $0.validators = 1
        $0.sentries = 0
        $0.clients = 0
    }
}

/// Hosts that gossip on one topic. The first publishes and has not subscribed, the others are connected at random; the
/// second dials nobody.
@ReactorActor
private final class Crowd {
    static let topic: RawText = "crowd"

    /// Publishers rely on their meshes, so that these must work.
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
            // The third meets the second in any case.
            for other in others + (number == 2 ? [members[1]] : []) where other !== member {
                // Nor does the second get what the first publishes at first hand.
                if number == 0, other === members[1] { continue }
                guard let address = other.stranger.host.listenAddresses.first else { continue }
                _ = try? await member.stranger.host.connect(
                    address.appending(.p2p(other.stranger.id)))
            }
        }
        // Subscriptions are told, and meshes made.
        try await Reactor.sleep(for: .seconds(10))
    }

    /// Has one host publish messages, two a second.
    func publish(_ count: Int, size: Int, by number: Int) async throws {
        for _ in 0..<count {
            try members[number].gossip.publish(Self.topic, [UInt8](repeating: 1, count: size))
            try await Reactor.sleep(for: .milliseconds(500))
        }
    }

    /// Has a host that floods publish a message. The second has met it.
    func flood() async throws {
        let (flooder, lonely) = (members[2], members[1])
        guard flooder.stranger.host.isConnected(lonely.stranger.id) else {
            throw CheckerFailure("scenario", "they have not met")
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
    /// The message alone in an RPC, as it goes on a stream.
    var rpc: [UInt8] {
        var message = ProtobufWriter()
        message.put(2, bytes: encoded.array)
        var frame = ByteWriter()
        frame.put(uvarint: UInt64(message.bytes.count))
        frame.put(bytes: message.bytes)
        return frame.bytes
    }
}
