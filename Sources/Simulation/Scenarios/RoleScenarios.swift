import Chain
import Crypto
import Multiformats
import Node
import Reactor

extension Scenario {
    /// Nodes whose role changes, and with it their behaviour and their peers.
    static let roles: [Scenario] = [
        Scenario(
            "role-heights",
            "A validator that joins votes from the next block on, one that leaves up to the block of its leaving.",
            options: {
                $0.validators = 1
                $0.sentries = 1
            }
        ) { world in
            let (leader, sentry) = (world.nodes[0], world.nodes[1])
            var height = world.chain.tip
            for _ in 0..<3 {
                for isMember in [true, false] {
                    if isMember {
                        try await world.commit(.validatorJoin(power: 1), by: sentry)
                        try await world.commit(.validatorApprove(sentry.key), by: leader)
                    } else {
                        try await world.commit(.validatorLeave, by: sentry)
                    }
                    try await world.expectSet(isMember ? 2 : 1, with: sentry, isMember)
                    try await world.grow(3)
                    // Two of two are a majority: the first block of the new set needs its vote.
                    height = try world.heightOfChange(of: sentry, after: height)
                    try await world.checkVote(of: sentry, at: height, !isMember)
                    try await world.checkVote(of: sentry, at: height + 1, isMember)
                }
            }
        },
        Scenario(
            "sentry-validates",
            "A sentry that is approved connects to the leader and fetches proposals; once removed, it does neither."
        ) { world in
            let (leader, sentry) = (world.nodes[0], world.nodes[4])
            for _ in 0..<2 {
                try await world.commit(.validatorJoin(power: 1), by: sentry)
                for machine in world.nodes[..<3] {
                    try await world.commit(.validatorApprove(sentry.key), by: machine)
                }
                let before = sentry.downloads.count
                try await world.expect("it does not connect to the leader") {
                    world.peers(of: leader).contains(sentry.key.peerID)
                }
                try await world.expect("it fetches no proposals") { sentry.downloads.count > before + 3 }
                for machine in world.nodes[..<4] {
                    try await world.commit(.validatorRemove(sentry.key), by: machine)
                }
                try await world.expectSet(4, with: sentry, false)
                try await world.expect("it remains the leader's peer") {
                    !world.peers(of: leader).contains(sentry.key.peerID)
                }
                let (fetched, tip) = (sentry.downloads.count, world.chain.tip)
                try await world.grow(5)
                try world.check(sentry.downloads.count == fetched, "it still fetches proposals")
                try await world.expect("it does not follow") { sentry.committed >= tip + 4 }
                try await world.expectRole(.sentry, of: sentry)
            }
        },
        Scenario(
            "leader-replaced",
            "A promotion takes effect at its height; the old leader, wiped and removed, returns as a sentry."
        ) { world in
            let (old, successor) = (world.nodes[0], world.nodes[1])
            try await world.grow(3)
            let height = world.chain.tip + 15
            await world.promote(successor, at: height, by: world.nodes[1...3])
            try await world.expect("the chain does not reach height \(height)") {
                world.chain.tip >= height - 1
            }
            try await world.grow(3)
            try world.check(
                world.chain.committed(at: height - 1)?.leader == old.key, "the old leader ends too early")
            try world.check(
                world.chain.committed(at: height)?.leader == successor.key, "the new leader begins too late")
            old.powerFail()
            world.wiped(old)
            for machine in world.nodes[1...3] {
                try await world.commit(.validatorRemove(old.key), by: machine)
            }
            try await world.expectSet(3, with: old, false)
            try await world.grow(3)
            old.setup.configuration.p2p.bootnodes = [world.bootnode(world.nodes[2])]
            await world.start(old)
            try await world.expect("the old leader does not follow", within: World.livenessBound) {
                old.committed >= world.chain.tip - 1
            }
            try await world.expectRole(.sentry, of: old)
            try await world.expectRole(.leader, of: successor)
            try await world.expect("the leader has peers that are not validators") {
                world.peers(of: successor) == world.ids([2, 3])
            }
        },
        Scenario(
            "bootnode-promoted",
            "Sentries that long reached only their bootstrap node find others when it becomes leader and drops them.",
            options: {
                $0.clients = 0
                $0.blockInterval = .seconds(2)
                $0.emptyBlockInterval = .seconds(30)
            }
        ) { world in
            let (old, boot, sentries) = (world.nodes[0], world.nodes[1], world.nodes[4...])
            for sentry in sentries {
                await sentry.stop()
                sentry.forgetPeers()
                sentry.setup.configuration.p2p.bootnodes = [world.bootnode(boot)]
                for other in [2, 3] { world.cut(sentry, world.nodes[other]) }
                await world.start(sentry)
            }
            // They learn of the others and fail to reach them repeatedly.
            try await Reactor.sleep(for: .seconds(1_500))
            old.powerFail()
            // No node looks for them.
            for machine in world.nodes[2...3] {
                await machine.stop()
                machine.forgetPeers()
            }
            await world.promote(boot, at: world.chain.tip + 1, by: world.nodes[1...3])
            try await world.grow(2)
            for sentry in sentries {
                for other in [2, 3] { world.cut(sentry, world.nodes[other], false) }
            }
            for sentry in sentries {
                try await world.expect("\(sentry.name) does not follow", within: World.livenessBound) {
                    sentry.committed >= world.chain.tip - 1
                }
                try world.check(
                    !world.peers(of: boot).contains(sentry.key.peerID), "the leader keeps \(sentry.name)")
            }
        },
    ]
}

extension World {
    /// Restarts machines with a promotion of `successor` from `height` on.
    func promote(_ successor: SimulatedNode, at height: Int64, by machines: ArraySlice<SimulatedNode>) async {
        for machine in machines {
            machine.setup.configuration.consensus.promoteLeader = successor.key.nodeID
            machine.setup.configuration.consensus.promoteHeight = Int(height)
            await restart(machine) { _ in }
        }
    }

    /// Waits until a machine's node has a role.
    func expectRole(_ role: RoleName, of machine: SimulatedNode) async throws {
        try await expect("\(machine.name) is not a \(role)") { await machine.node?.status().role == role }
    }

    /// Returns the first height after `height` whose block changed a machine's membership of the validators.
    fileprivate func heightOfChange(of machine: SimulatedNode, after height: Int64) throws -> Int64 {
        func isMember(_ height: Int64) -> Bool {
            (chain.committed(at: height)?.validators ?? genesis.validators).contains(machine.key)
        }
        guard let change = (height + 1...chain.tip).first(where: { isMember($0) != isMember(height) }) else {
            throw CheckerFailure("scenario", "\(machine.name) has not changed its role")
        }
        return change
    }

    /// Checks whether a machine's vote is in a block's commit info.
    fileprivate func checkVote(of machine: SimulatedNode, at height: Int64, _ isThere: Bool) async throws {
        guard let stored = try await nodes[0].node?.block(at: height) else {
            throw CheckerFailure("scenario", "no block \(height)")
        }
        let votes = try CommitInfo(decoding: stored.commitInfo).votes
        try check(
            votes.contains { $0.signature.publicKey == machine.key } == isThere,
            "\(machine.name)'s vote on block \(height) is \(isThere ? "missing" : "there")")
    }
}
