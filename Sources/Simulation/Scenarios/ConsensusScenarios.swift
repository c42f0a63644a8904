import Crypto
import Reactor

extension Scenario {
    /// Consensus: lost messages, leaders that forget or never return.
    static let consensus: [Scenario] = [
        Scenario(
            "commit-resent",
            "A validator that misses the announcement of a commit gets it again before the next block.",
            options: {
                $0.clients = 0
                $0.emptyBlockInterval = .seconds(20)
            }
        ) { world in
            let validator = world.nodes[3]
            for _ in 0..<3 {
                try await world.grow(1)
                world.cut(validator, from: world.nodes)
                try await world.grow(1)
                let tip = world.chain.tip
                world.heal(validator, with: world.nodes)
                try await world.expect("the validator does not learn of height \(tip)", within: .seconds(15))
                {
                    validator.committed >= tip
                }
            }
        },
        Scenario(
            "status-after-restart",
            "A validator that crashed after voting asks the leader for the status of the height."
        ) { world in
            for round in 0..<4 {
                try await world.grow(2)
                let validator = world.nodes[1 + round % 3]
                validator.powerFail()
                try await Reactor.sleep(for: .milliseconds(300))
                await world.start(validator)
            }
            try await world.grow(3)
        },
        Scenario(
            "proposal-elsewhere",
            "Connections break while proposals are fetched: validators fetch the block outside its announcement."
        ) { world in
            world.network.defaultLink.bytesPerSecond = 20_000
            for _ in 0..<30 {
                try await Reactor.sleep(for: .milliseconds(700))
                world.network.resetConnections(of: world.nodes[2].setup.address)
            }
            world.network.defaultLink.bytesPerSecond = 20_000_000
            try await world.grow(5)
        },
        Scenario(
            "reset",
            "Without a majority the leader withdraws its proposal; with a majority again it makes another."
        ) { world in
            try await world.grow(3)
            world.nodes[2].powerFail()
            world.nodes[3].powerFail()
            try await Reactor.sleep(for: .seconds(70))
            await world.start(world.nodes[2])
            await world.start(world.nodes[3])
            try await world.grow(5)
        },
        Scenario(
            "withdrawn-stops",
            "A proposal that takes too long is withdrawn: all nodes stop executing it and execute the next one.",
            options: { $0.clients = 0 }
        ) { world in
            try await world.grow(2)
            let before = world.nodes.map(\.application.stops)
            for machine in world.nodes { machine.delays["execution"] = .seconds(90) }
            let ids = try await world.send(4, at: world.nodes[4], from: 1)
            for (machine, stops) in zip(world.nodes, before).prefix(4) {
                try await world.expect("\(machine.name) does not stop executing", within: .seconds(80)) {
                    machine.application.stops > stops
                }
            }
            for machine in world.nodes { machine.delays = [:] }
            try await world.expectCommitted(ids, within: .seconds(240))
        },
        Scenario(
            "leader-behind",
            "A leader that was cut off and killed learns the others' height before it proposes."
        ) { world in
            for _ in 0..<3 {
                try await world.grow(2)
                world.cut(world.nodes[0], from: world.nodes)
                try await Reactor.sleep(for: .seconds(5))
                world.nodes[0].kill()
                world.heal(world.nodes[0], with: world.nodes)
                await world.start(world.nodes[0])
            }
            try await world.grow(3)
        },
        Scenario(
            "leader-wiped",
            "A leader with an empty disk catches up and proposes again the block that may have been committed."
        ) { world in
            for round in 0..<5 {
                try await world.grow(3)
                // At a different moment of the height each time.
                try await Reactor.sleep(for: .milliseconds(60 * round))
                let leader = world.nodes[0]
                leader.powerFail()
                world.wiped(leader)
                try await Reactor.sleep(for: .seconds(1))
                await world.start(leader)
            }
            try await world.grow(3)
        },
        Scenario(
            "leader-promoted",
            "The leader is gone for good: a promoted validator leads, and the old leader follows when it returns."
        ) { world in
            try await world.grow(5)
            let old = world.nodes[0]
            old.powerFail()
            try await Reactor.sleep(for: .seconds(2))
            let successor = world.nodes[1]
            let height = world.nodes.map(\.committed).max().map { $0 + 1 } ?? 1
            await world.promote(successor, at: height, by: world.nodes[1...3])
            try await world.grow(5)
            await world.start(old)
            try await world.expect("the old leader does not follow") { old.committed >= world.chain.tip - 1 }
            let role = await old.node?.status().role
            try await world.expect("the old leader is \(role.map { "\($0)" } ?? "off")") {
                role == .validator
            }
            try await world.grow(3)
        },
    ]
}
