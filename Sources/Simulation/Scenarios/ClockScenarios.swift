import Reactor

extension Scenario {
    /// Clocks that are wrong, stop or go back. None may stop a chain for longer than it is wrong.
    static let clocks: [Scenario] = [
        Scenario(
            "wrong-clock-leader",
            "A leader's clock is 30 days ahead for a while: nothing is committed until it is right again."
        ) { world in
            let leader = world.nodes[0]
            for isRestarted in [false, true] {
                try await world.grow(2)
                leader.clockAway = .days(30)
                // A block proposed before may still pass.
                try await Reactor.sleep(for: .seconds(5))
                let tip = world.chain.tip
                try await Reactor.sleep(for: .seconds(30))
                try world.check(world.chain.tip == tip, "a block 30 days ahead is committed")
                leader.clockAway = 0
                if isRestarted {
                    leader.kill()
                    await world.start(leader)
                }
                try await world.grow(3, within: .seconds(60))
            }
        },
        Scenario(
            "wrong-clock-relayed",
            "After a leader's clock was ahead, relayed proposals reach validators, although their stamps are newer."
        ) { world in
            let leader = world.nodes[0]
            try await world.grow(2)
            // Two votes arrive directly, and three are needed.
            let far = Array(world.nodes[2...3])
            world.cut(leader, from: far)
            for machine in far { machine.kill() }
            for machine in far { await world.start(machine) }
            try await world.grow(2)
            leader.clockAway = .days(30)
            try await Reactor.sleep(for: .seconds(40))
            leader.clockAway = 0
            try await world.grow(3, within: .seconds(90))
            world.heal(leader, with: far)
        },
        Scenario(
            "clock-ahead-single-validator",
            "A chain whose only validator's clock was ten days ahead goes on when the clock is right and others join.",
            options: {
                $0.validators = 1
                $0.sentries = 2
            }
        ) { world in
            let (leader, sentry) = (world.nodes[0], world.nodes[1])
            leader.clockAway = .days(10)
            try await world.grow(3)
            leader.clockAway = 0
            try await world.grow(3)
            try await world.commit(.validatorJoin(power: 1), by: sentry)
            try await world.commit(.validatorApprove(sentry.key), by: leader)
            try await world.expectSet(2, with: sentry, true)
            try await world.grow(5)
        },
        Scenario(
            "clock-stands-still",
            "A leader whose clock stops and goes back crashes after each proposal: it never uses a stamp twice.",
            options: { $0.clients = 0 }
        ) { world in
            let leader = world.nodes[0]
            try await world.grow(2)
            leader.clockStopped = leader.wallClock
            // The proposal is out, but there is no vote that would record it on the leader's disk, nor one whose
            // validator would tell the leader its stamp.
            for machine in world.nodes { machine.delays["execution"] = .seconds(2) }
            for round in 0..<6 {
                var isOut = false
                world.onNodeEvent = { event, machine in
                    if event == .proposed, machine === leader { isOut = true }
                }
                try await world.expect("no proposal") { isOut }
                leader.powerFail()
                // The same block may come again under a newer stamp.
                for machine in world.nodes { machine.downloads = [] }
                if round > 2 { leader.clockStopped = leader.wallClock - 500 }
                await world.start(leader)
                // Each process proposes a different block; transactions that other nodes have already sent to the
                // leader are refused here.
                for nonce in 1...UInt64(round + 1) { _ = try? await world.send(1, at: leader, from: nonce) }
            }
            world.onNodeEvent = nil
            for machine in world.nodes { machine.downloads = [] }
            for machine in world.nodes { machine.delays = [:] }
            try await world.grow(3)
            leader.clockStopped = nil
            try await world.grow(3)
        },
    ]
}

extension Int64 {
    /// Returns a number of days in milliseconds.
    fileprivate static func days(_ count: Int64) -> Int64 { count * 86_400_000 }
}
