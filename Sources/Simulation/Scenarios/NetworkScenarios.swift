import Reactor

extension Scenario {
    /// Basic networks: quiet ones, and single machines that come and go.
    static let networks: [Scenario] = [
        Scenario("quiet", "A network without faults commits block after block.") { world in
            try await world.grow(20)
        },
        Scenario("leader-crash", "The leader loses power three times and goes on from its log.") { world in
            for _ in 0..<3 {
                try await world.grow(3)
                world.nodes[0].powerFail()
                try await Reactor.sleep(for: .seconds(2))
                await world.start(world.nodes[0])
            }
            try await world.grow(3)
        },
        Scenario("late-sentry", "A sentry that starts on an empty disk catches up while the network commits.")
        { world in
            let sentry = world.nodes[5]
            try await world.grow(3)
            sentry.powerFail()
            world.wiped(sentry)
            try await world.grow(20)
            await world.start(sentry)
            try await world.expect("the sentry does not catch up") { sentry.committed >= world.chain.tip - 1 }
        },
        Scenario(
            "minority-cut",
            "A validator that is cut off follows when it is reconnected; the others go on meanwhile."
        ) { world in
            let machine = world.nodes[3]
            world.isolate(machine, true)
            try await world.grow(10)
            world.isolate(machine, false)
            try await world.expect("it does not catch up") { machine.committed >= world.chain.tip - 1 }
        },
    ]
}
