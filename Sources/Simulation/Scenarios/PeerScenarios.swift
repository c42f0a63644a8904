import Chain
import LibP2P
import Multiformats
import Node
import Reactor

extension Scenario {
    /// The peers of nodes (docs/peers.md).
    static let peers: [Scenario] = [
        Scenario("leader-admits", "The leader's only peers are validators and its sentries.") { world in
            let (leader, sentry) = (world.nodes[0], world.nodes[4])
            await world.restart(leader) { $0.sentries = [sentry.key.nodeID] }
            await world.restart(sentry) { $0.bootnodes.append(world.bootnode(leader)) }
            let strangers = try (0..<5).map { try Stranger(world, $0) }
            try await world.expect("its sentry is refused") {
                world.peers(of: leader).contains(sentry.key.peerID)
            }
            for _ in 0..<10 {
                for stranger in strangers { await stranger.dial(leader) }
                try await Reactor.sleep(for: .seconds(2))
            }
            try world.check(
                world.peers(of: leader) == world.ids([1, 2, 3, 4]),
                "the leader has peers that are not allowed")
            await world.end(strangers)
        },
        Scenario("eclipse", "Two hundred strangers do not cut a sentry and a validator off from the network.")
        {
            $0.blocks = 5
        } script: { world in
            let (validator, sentry) = (world.nodes[1], world.nodes[4])
            for machine in [validator, sentry] {
                await world.restart(machine) {
                    $0.maxConnections = 40
                    $0.targetConnections = 8
                }
            }
            let strangers = try (0..<200).map { try Stranger(world, $0) }
            for round in 0..<3 {
                for stranger in strangers {
                    for machine in [validator, sentry] { Reactor.spawn { await stranger.dial(machine) } }
                }
                try await Reactor.sleep(for: .seconds(5))
                // Meanwhile the machines restart and have to find their peers anew.
                if round == 0 {
                    for machine in [sentry, validator] { await world.restart(machine) { _ in } }
                }
            }
            for machine in [validator, sentry] {
                // Peers that are about to be disconnected exceed the 40.
                let peers = machine.node?.holdings.first { $0.name == "peers" }
                let (count, limit) = (peers?.amount ?? 0, peers?.limit ?? 0)
                try world.check(
                    (20...limit).contains(count), "\(machine.name) has \(count) peers of \(limit)")
            }
            let others = world.ids([0, 2, 3])
            try await world.expect("the validator lost the others") {
                Set(world.peers(of: validator)).isSuperset(of: others)
            }
            let tip = world.chain.tip
            try await world.grow(5)
            try await world.expect("the sentry does not follow") { sentry.committed > tip }
            await world.end(strangers)
        },
        Scenario(
            "leader-address", "Peer exchange gives the leader's address to validators only."
        ) {
            world in
            let (leader, validator) = (world.nodes[0].key.peerID, world.nodes[1])
            let stranger = try Stranger(world, 1)
            try await world.grow(10)
            try world.check(await stranger.dial(validator), "the stranger is refused")
            try await Reactor.sleep(for: .seconds(1))
            for _ in 0..<5 {
                guard let told = await stranger.ask(validator) else {
                    throw CheckerFailure("scenario", "no answer")
                }
                try world.check(!told.isEmpty, "no peer is returned")
                try world.check(!told.contains(leader), "the stranger learns of the leader")
                try await Reactor.sleep(for: .seconds(6))
            }
            for machine in world.nodes.dropFirst(4) {
                try world.check(
                    machine.book.record(of: leader) == nil, "\(machine.name) knows the leader's address")
            }
            // Validator 3 has the first validator as its second bootstrap node; without the leader's address it asks
            // that one.
            let other = world.nodes[3]
            await other.stop()
            other.forgetPeers()
            other.setup.configuration.p2p.bootnodes = [world.bootnode(validator)]
            await world.start(other)
            try await world.expect("validator 3 does not learn of the leader") {
                world.peers(of: other).contains(leader)
            }
            await world.end([stranger])
        },
        Scenario("pex-off", "A node without peer exchange closes the stream and asks no peer.") { world in
            let validator = world.nodes[1]
            await world.restart(validator) { $0.pex = false }
            let stranger = try Stranger(world, 1)
            try await world.grow(5)
            try world.check(await stranger.dial(validator), "the stranger is refused")
            try await Reactor.sleep(for: .seconds(1))
            let told = await stranger.ask(validator)
            try world.check(told == [], "a node without peer exchange answers")
            try world.check(await stranger.dial(world.nodes[2]), "the stranger is refused by the next")
            try await Reactor.sleep(for: .seconds(1))
            try world.check(await stranger.ask(world.nodes[2])?.isEmpty == false, "the next does not answer")
            await world.end([stranger])
        },
        Scenario("bootnode-gone", "A sentry whose bootstrap node is gone reconnects by its address book.") {
            world in
            let (boot, sentry) = (world.nodes[1], world.nodes[4])
            await world.restart(sentry) { $0.bootnodes = [world.bootnode(boot)] }
            try await world.expect("it learns of no peers") {
                sentry.book.peers.count { !sentry.book.addresses(of: $0).isEmpty } >= 3
            }
            await sentry.stop()
            boot.powerFail()
            // No other node looks for it.
            for machine in world.nodes where machine !== sentry && machine !== boot {
                await machine.stop()
                machine.forgetPeers()
                await world.start(machine)
            }
            try await world.grow(3)
            await world.start(sentry)
            try await world.expect("it finds no peer") { sentry.committed >= world.chain.tip - 1 }
            await world.start(boot)
        },
        Scenario(
            "full-bootnode",
            "A newcomer whose bootstrap node is full learns of other peers, and follows through them."
        ) {
            $0.sentries = 4
        } script: { world in
            let (boot, newcomer) = (world.nodes[1], world.nodes[7])
            await newcomer.stop()
            newcomer.forgetPeers()
            // Three slots for validators, one for an inbound peer, and one for an outbound one.
            await world.restart(boot) { $0.maxConnections = 5 }
            try await world.expect("the bootstrap node's slots stay free") {
                world.peers(of: boot).count == 5
            }
            newcomer.setup.configuration.p2p.bootnodes = [world.bootnode(boot)]
            await world.start(newcomer)
            try await world.expect("it finds no peer") {
                world.peers(of: newcomer).contains { $0 != boot.key.peerID }
            }
            try await world.grow(5)
            try await world.expect("it does not follow") { newcomer.committed >= world.chain.tip - 1 }
        },
        Scenario(
            "cut-and-healed", "After three minutes without network a validator is reconnected within one."
        ) {
            $0.blockInterval = .seconds(2)
            $0.emptyBlockInterval = .seconds(10)
        } script: { world in
            let machine = world.nodes[3]
            try await world.grow(2)
            world.isolate(machine, true)
            try await Reactor.sleep(for: .seconds(180))
            try world.check(world.peers(of: machine).isEmpty, "it still has peers")
            world.isolate(machine, false)
            try await world.expect("it is not connected again", within: .seconds(60)) {
                Set(world.peers(of: machine)).isSuperset(of: world.ids([0, 1, 2]))
            }
            try await world.expect("it does not catch up") { machine.committed >= world.chain.tip - 1 }
        },
        Scenario("private-mode", "A private node's only peers are validators and those on its allow list.") {
            world in
            let (sentry, other) = (world.nodes[4], world.nodes[5])
            await world.restart(sentry) {
                $0.isPrivate = true
                $0.whitelist = [other.key.nodeID]
            }
            await world.restart(other) { $0.bootnodes.append(world.bootnode(sentry)) }
            let stranger = try Stranger(world, 1)
            for _ in 0..<5 {
                await stranger.dial(sentry)
                try await Reactor.sleep(for: .seconds(3))
                try world.check(!stranger.isPeer(of: sentry), "a stranger is its peer")
            }
            try await world.expect("a peer on the allow list is refused") {
                world.peers(of: sentry).contains(other.key.peerID)
            }
            await world.end([stranger])
        },
        Scenario("block-list", "No peer on the block list is connected, whichever side dials.") { world in
            let (sentry, other) = (world.nodes[4], world.nodes[5])
            await world.restart(other) { $0.bootnodes.append(world.bootnode(sentry)) }
            try await world.expect("they do not connect") {
                world.peers(of: sentry).contains(other.key.peerID)
            }
            await world.restart(sentry) { $0.blocklist = [other.key.nodeID, "10.201.0.0/16"] }
            let (blocked, free) = (try Stranger(world, 1, ip: "10.201.0.1"), try Stranger(world, 2))
            for _ in 0..<5 {
                await blocked.dial(sentry)
                await free.dial(sentry)
                try await Reactor.sleep(for: .seconds(5))
                try world.check(!blocked.isPeer(of: sentry), "a host of a blocked network is connected")
                try world.check(
                    !world.peers(of: sentry).contains(other.key.peerID), "a blocked peer is connected")
            }
            try world.check(free.isPeer(of: sentry), "a stranger is refused")
            try await world.expect("it does not follow") { sentry.committed >= world.chain.tip - 1 }
            await world.end([blocked, free])
        },
        Scenario("ban", "A peer that misbehaves is banned, and forgiven later.") {
            $0.blockInterval = .seconds(2)
            $0.emptyBlockInterval = .seconds(10)
        } script: { world in
            let validator = world.nodes[1]
            let stranger = try Stranger(world, 1)
            try world.check(await stranger.dial(validator), "the stranger is refused")
            for _ in 0..<8 {
                await stranger.misbehave(validator)
                try await Reactor.sleep(for: .seconds(1))
                await stranger.dial(validator)
            }
            try await Reactor.sleep(for: .seconds(1))
            try world.check(!stranger.isPeer(of: validator), "it is not banned")
            let end = Reactor.now + .seconds(100)
            while Reactor.now < end {
                await stranger.dial(validator)
                try await Reactor.sleep(for: .seconds(10))
                try world.check(!stranger.isPeer(of: validator), "the ban ends too early")
            }
            try await world.expect("it is not forgiven", within: .seconds(120)) {
                await stranger.dial(validator)
                try? await Reactor.sleep(for: .seconds(2))
                return stranger.isPeer(of: validator)
            }
            await world.end([stranger])
        },
        Scenario(
            "dead-forgotten", "A stranger that no longer answers is forgotten, but not within an hour."
        ) {
            $0.validators = 1
            $0.sentries = 1
            $0.clients = 0
            $0.emptyBlockInterval = .seconds(600)
        } script: { world in
            let sentry = world.nodes[1]
            let stranger = try Stranger(world, 1)
            try await world.expect("it is not known") {
                await stranger.dial(sentry)
                return stranger.isPeer(of: sentry) && sentry.book.record(of: stranger.id) != nil
            }
            await world.end([stranger])
            try await Reactor.sleep(for: .seconds(3_000))
            try world.check(sentry.book.record(of: stranger.id) != nil, "it is forgotten too early")
            try await Reactor.sleep(for: .seconds(3_600))
            try world.check(sentry.book.record(of: stranger.id) == nil, "it is not forgotten")
        },
        Scenario(
            "set-change",
            "The leader admits a sentry when it becomes a validator, and disconnects it afterwards."
        ) {
            world in
            let (leader, sentry) = (world.nodes[0], world.nodes[4])
            try await world.grow(2)
            try world.check(
                !world.peers(of: leader).contains(sentry.key.peerID), "the leader has a sentry as a peer")
            try await world.commit(.validatorJoin(power: 1), by: sentry)
            for machine in world.nodes[..<3] {
                try await world.commit(.validatorApprove(sentry.key), by: machine)
            }
            try await world.expect("the leader refuses a validator") {
                world.peers(of: leader).contains(sentry.key.peerID)
            }
            try await world.commit(.validatorLeave, by: sentry)
            try await world.expect("the leader keeps a sentry") {
                !world.peers(of: leader).contains(sentry.key.peerID)
            }
            try await Reactor.sleep(for: .seconds(20))
            try world.check(!world.peers(of: leader).contains(sentry.key.peerID), "it is back")
        },
        Scenario(
            "second-validator",
            "A leader that is no longer alone refuses sentries; with empty disks they sync from other nodes.",
            options: {
                $0.validators = 1
                $0.sentries = 3
            }
        ) { world in
            let (leader, first) = (world.nodes[0], world.nodes[1])
            let (second, last) = (world.nodes[2], world.nodes[3])
            try await world.expect("the lone leader refuses a sentry") {
                world.peers(of: leader).contains(last.key.peerID)
            }
            try await world.commit(.validatorJoin(power: 1), by: first)
            try await world.commit(.validatorApprove(first.key), by: leader)
            try await world.expectSet(2, with: first, true)
            try await world.expect("the leader keeps sentries") {
                world.peers(of: leader) == [first.key.peerID]
            }
            // The nodes have no addresses except those in their configurations.
            await first.stop()
            first.forgetPeers()
            for machine in [second, last] {
                machine.powerFail()
                world.wiped(machine)
            }
            for machine in [first, second, last] { await world.start(machine) }
            for machine in [second, last] {
                try await world.expect("\(machine.name) does not follow") {
                    machine.committed >= world.chain.tip - 1
                }
            }
            try world.check(!world.peers(of: leader).contains(last.key.peerID), "the leader admits it again")
        },
    ]
}

extension World {
    /// Returns the peers of a machine's node.
    func peers(of machine: SimulatedNode) -> [PeerID] { machine.node?.connectedPeers ?? [] }

    /// Returns the peer IDs of machines, ordered like `peers(of:)`.
    func ids(_ numbers: [Int]) -> [PeerID] { numbers.map { nodes[$0].key.peerID }.sorted() }

    func check(_ condition: Bool, _ complaint: String) throws(CheckerFailure) {
        if !condition { throw CheckerFailure("scenario", complaint) }
    }

    /// Returns a machine's address for other nodes' configurations.
    func bootnode(_ machine: SimulatedNode) -> String {
        "\(machine.key.nodeID)@\(machine.setup.address.ip):\(World.port)"
    }

    /// Wipes a machine's disk and isolates it; its next start has one bootstrap node.
    func makeNewcomer(_ machine: SimulatedNode, bootnode other: SimulatedNode) {
        machine.powerFail()
        wiped(machine)
        isolate(machine, true)
        machine.setup.configuration.p2p.bootnodes = [bootnode(other)]
    }

    /// Stops a machine's node as its operator does and starts it with another configuration.
    func restart(_ machine: SimulatedNode, _ change: (inout Configuration.P2P) -> Void) async {
        await machine.stop()
        change(&machine.setup.configuration.p2p)
        await start(machine)
    }

    func end(_ strangers: [Stranger]) async {
        for stranger in strangers { await stranger.host.stop() }
    }
}
