import Crypto
import LibP2P
import Protocols
import Reactor

extension Scenario {
    /// What a node says of its place in the network, and with whom it does not share one.
    static let standing: [Scenario] = [
        Scenario(
            "alone",
            "A node without peers of its chain says that it is not healthy, and why; one that needs none does not."
        ) { world in
            let sentry = world.nodes[5]
            try await world.grow(2)
            try world.check(await sentry.trouble() == nil, "a node with peers complains")
            sentry.powerFail()
            world.isolate(sentry, true)
            await world.start(sentry)
            try await Reactor.sleep(for: .seconds(1))
            try world.check(await sentry.trouble() != nil, "a node without peers is content")
            world.isolate(sentry, false)
            try await world.expect("a node with peers again complains") { await sentry.trouble() == nil }
            for other in world.nodes where other !== sentry { other.powerFail() }
            try await world.expect("a node that lost its peers is content", within: .seconds(300)) {
                await sentry.trouble() != nil
            }
            for other in world.nodes where other !== sentry { await world.start(other) }
            try await world.expect("it goes on complaining") { await sentry.trouble() == nil }
        },
        Scenario(
            "alone-by-right", "The only validator of a chain is healthy without peers.",
            options: {
                $0.validators = 1
                $0.sentries = 1
            }
        ) { world in
            let leader = world.nodes[0]
            world.isolate(leader, true)
            try await Reactor.sleep(for: .seconds(200))
            let trouble = await leader.trouble()
            try world.check(trouble == nil, "it complains: \(trouble ?? "")")
            world.isolate(leader, false)
        },
        Scenario(
            "other-genesis",
            "A node whose chain has the same ID and another genesis is sent away; one that tells no genesis stays."
        ) { world in
            let sentry = world.nodes[4]
            try await world.grow(2)
            let other = try Stranger(world, 1)
            other.host.advertise(KwilProtocol.genesis(Hash.sha256(of: [1])))
            let (same, silent) = (try Stranger(world, 2), try Stranger(world, 3))
            same.host.advertise(KwilProtocol.genesis(world.genesis.hash))
            for stranger in [other, same, silent] { await stranger.dial(sentry) }
            try await world.expect("a node of another genesis stays", within: .seconds(10)) {
                !other.isPeer(of: sentry)
            }
            try await Reactor.sleep(for: .seconds(5))
            try world.check(same.isPeer(of: sentry), "one of the same genesis is sent away")
            try world.check(silent.isPeer(of: sentry), "one that tells no genesis is sent away")
            await world.end([other, same, silent])
        },
    ]
}

extension SimulatedNode {
    /// What the machine's node says against itself.
    fileprivate func trouble() async -> String? { await node?.status().trouble }
}
