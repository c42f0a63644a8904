import Crypto
import LibP2P
import Protocols
import Reactor

extension Scenario {
    /// A node's report of its health, and peers of other chains.
    static let standing: [Scenario] = [
        Scenario(
            "alone",
            "A node without peers of its chain reports that it is unhealthy, and why, until it has peers again."
        ) { world in
            let sentry = world.nodes[5]
            try await world.grow(2)
            try world.check(await sentry.trouble() == nil, "a node with peers is unhealthy")
            sentry.powerFail()
            world.isolate(sentry, true)
            await world.start(sentry)
            try await Reactor.sleep(for: .seconds(1))
            try world.check(await sentry.trouble() != nil, "a node without peers is healthy")
            world.isolate(sentry, false)
            try await world.expect("a node with peers again is unhealthy") { await sentry.trouble() == nil }
            for other in world.nodes where other !== sentry { other.powerFail() }
            try await world.expect("a node that lost its peers is healthy", within: .seconds(300)) {
                await sentry.trouble() != nil
            }
            for other in world.nodes where other !== sentry { await world.start(other) }
            try await world.expect("it stays unhealthy") { await sentry.trouble() == nil }
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
            try world.check(trouble == nil, "it is unhealthy: \(trouble ?? "")")
            world.isolate(leader, false)
        },
        Scenario(
            "other-genesis",
            "A node with the same chain ID and another genesis is disconnected; one that reports no genesis stays."
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
            try world.check(same.isPeer(of: sentry), "a node of the same genesis is disconnected")
            try world.check(silent.isPeer(of: sentry), "a node that reports no genesis is disconnected")
            await world.end([other, same, silent])
        },
    ]
}

extension SimulatedNode {
    /// Returns why the machine's node is unhealthy; nil if it is healthy.
    fileprivate func trouble() async -> String? { await node?.status().trouble }
}
