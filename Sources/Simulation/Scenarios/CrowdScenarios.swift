import LibP2P
import Multiformats
import Reactor

extension Scenario {
    /// Gossip among more hosts than fit into a mesh.
    static let crowds: [Scenario] = [
        Scenario(
            "gossip-crowd",
            "Forty hosts hear one that publishes by fan-out; one without a mesh hears it by what it is offered.",
            options: crowd
        ) { world in
            var lonely = GossipsubConfiguration()
            lonely.floodPublish = false
            (lonely.degree, lonely.degreeLow, lonely.degreeHigh, lonely.degreeOut) = (0, 0, 0, 0)
            let crowd = try await Crowd(world, 1, size: 40, Crowd.usual, second: lonely)
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
    static let topic = "crowd"

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
        second: GossipsubConfiguration? = nil
    ) async throws {
        var random = SimulationRandom(seed: world.options.seed, stream: "crowd")
        for number in 0..<size {
            members.append(
                Member(
                    try Stranger(world, group * 100 + number),
                    number == 1 ? second ?? configuration : configuration))
        }
        for member in members.dropFirst() {
            member.gossip.subscribe(Self.topic) { [weak member] _, _ in member?.heard += 1 }
        }
        for (number, member) in members.enumerated() where number != 1 {
            for other in members.shuffled(using: &random).prefix(10) where other !== member {
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

    func stop() async {
        for member in members {
            member.gossip.stop()
            await member.stranger.host.stop()
        }
    }
}
