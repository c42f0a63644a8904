import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Node
import Protocols
import Reactor
import VirtualIO

extension Scenario {
    /// Claims between nodes, and the order in which nodes ask their peers.
    static let trust: [Scenario] = [
        Scenario(
            "claimed-heights",
            "Strangers claim a height that no node has and fall silent: nodes neither count as behind nor stop announcing.",
            options: {
                $0.clients = 0
                $0.emptyBlockInterval = .seconds(5)
            }
        ) { world in
            try await world.grow(2)
            var claimants: [Claimant] = []
            // The leader admits no strangers.
            let targets = Array(world.nodes.dropFirst())
            for (number, machine) in targets.enumerated() {
                let claimant = try Claimant(world, number)
                try await world.admit(claimant.stranger, at: machine)
                claimants.append(claimant)
            }
            for _ in 0..<6 {
                for (claimant, machine) in zip(claimants, targets) { await claimant.claim(to: machine) }
                let tip = world.chain.tip + 1
                try await world.grow(1, within: .seconds(10))
                try await world.expect("a block does not reach all nodes", within: .seconds(2)) {
                    world.nodes.allSatisfy { $0.committed >= tip }
                }
                for machine in world.nodes {
                    let isSyncing = await machine.node?.status().isSyncing ?? false
                    try world.check(!isSyncing, "\(machine.name) counts as behind because of a mere claim")
                }
            }
            await world.end(claimants.map(\.stranger))
        },
        Scenario(
            "slow-proposal-source",
            "A validator that announces each proposal first and withholds it delays another by two seconds, twice.",
            options: {
                $0.clients = 0
                $0.emptyBlockInterval = .seconds(8)
            }
        ) { world in
            let (leader, validator) = (world.nodes[0], world.nodes[3])
            try await world.grow(2)
            // Without it no block is committed before this validator has voted.
            world.nodes[2].kill()
            try await Reactor.sleep(for: .seconds(3))
            let stranger = try Stranger(world, 1, key: world.nodes[2].setup.key)
            try await world.admit(stranger, at: validator)
            // The withholder is nearer than the leader and than the other validators.
            for other in world.nodes.prefix(3) {
                let link = VirtualNetwork.Link(latency: .milliseconds(300), bytesPerSecond: 20_000_000)
                world.network.setLink(from: other.setup.address, to: validator.setup.address, link)
            }
            var delays: [Duration] = []
            var proposedAt: Duration?
            world.onNodeEvent = { event, machine in
                if event == .proposed, machine === leader {
                    proposedAt = Reactor.now
                    if let block = world.proposed.last { stranger.withhold(block, from: validator) }
                } else if event == .voted, machine === validator, let at = proposedAt {
                    delays.append(Reactor.now - at)
                    proposedAt = nil
                }
            }
            try await world.grow(6)
            world.onNodeEvent = nil
            await world.end([stranger])
            await world.start(world.nodes[2])
            try world.check(delays.count >= 5, "the validator votes \(delays.count) times")
            try world.check(delays.allSatisfy { $0 < .seconds(5) }, "it waits \(delays)")
            try world.check(
                delays[2...].allSatisfy { $0 < .seconds(2) }, "it asks the withholder first: \(delays)")
        },
        Scenario(
            "last-source",
            "A validator accepts proposals from the only peer that sends them, although that peer withheld some before.",
            options: {
                $0.clients = 0
                $0.emptyBlockInterval = .seconds(5)
            }
        ) { world in
            let (relay, validator) = (world.nodes[1], world.nodes[3])
            try await world.grow(2)
            relay.kill()
            try await Reactor.sleep(for: .seconds(3))
            let withholder = try Stranger(world, 1, key: relay.setup.key)
            try await world.admit(withholder, at: validator)
            // The withholder is nearer than the others.
            for other in [world.nodes[0], world.nodes[2]] {
                let link = VirtualNetwork.Link(latency: .milliseconds(300), bytesPerSecond: 20_000_000)
                world.network.setLink(from: other.setup.address, to: validator.setup.address, link)
            }
            world.onNodeEvent = { event, _ in
                guard event == .proposed, let block = world.proposed.last else { return }
                withholder.withhold(block, from: validator)
            }
            try await world.grow(3)
            world.onNodeEvent = nil
            await world.end([withholder])
            await world.start(relay)
            try await world.grow(2)
            world.cut(validator, from: world.nodes.filter { $0 !== relay })
            // Until it notices that the connections are gone.
            try await Reactor.sleep(for: .seconds(150))
            // Without it no block is committed before this validator has voted.
            world.nodes[2].powerFail()
            try await world.grow(5, within: .seconds(60))
            await world.start(world.nodes[2])
            world.heal(validator, with: world.nodes)
            try await world.grow(2)
        },
        Scenario(
            "replayed-signature",
            "A leader's old signature, replayed as a proposal of the next height, keeps no proposal out.",
            options: {
                $0.clients = 0
                $0.emptyBlockInterval = .seconds(5)
            }
        ) { world in
            let (leader, validator) = (world.nodes[0], world.nodes[3])
            try await world.grow(3)
            // Without it no block is committed before this validator has voted.
            world.nodes[2].powerFail()
            guard let old = world.chain.committed(at: 1)?.hash,
                let block = world.proposed.first(where: { $0.hash == old })
            else { throw CheckerFailure("scenario", "no old block") }
            let replayers = Replayers(world)
            Reactor.spawn { await replayers.replay(block, to: validator) }
            var delays: [Duration] = []
            var proposedAt: Duration?
            world.onNodeEvent = { event, machine in
                if event == .proposed, machine === leader {
                    proposedAt = proposedAt ?? Reactor.now
                } else if event == .voted, machine === validator, let at = proposedAt {
                    delays.append(Reactor.now - at)
                    proposedAt = nil
                }
            }
            try await world.grow(9)
            replayers.isOver = true
            world.onNodeEvent = nil
            try world.check(delays.count >= 5, "the validator votes \(delays.count) times")
            try world.check(delays.allSatisfy { $0 < .seconds(1) }, "it waits \(delays)")
            try world.check(replayers.strangers.count > 1, "the withholder is not disconnected")
            await world.end(replayers.strangers)
            await world.start(world.nodes[2])
            try await world.grow(2)
        },
        Scenario(
            "two-hosts-one-key",
            "A validator stops when it receives a vote with its key that it did not give; its own forgotten votes do not stop it.",
            options: {
                $0.clients = 0
                $0.emptyBlockInterval = .seconds(3)
            }
        ) { world in
            let validator = world.nodes[3]
            try await world.grow(3)
            validator.powerFail()
            world.wiped(validator)
            await world.start(validator)
            try await world.grow(3)
            let life = validator.life
            // Until blocks are certainly newer than the process.
            try await Reactor.sleep(for: .seconds(75))
            try world.check(validator.life == life, "its own old votes stop it")
            validator.mayFail = true
            validator.delays["execution"] = .seconds(1)
            let carrier = try Stranger(world, 1)
            try await world.admit(carrier, at: validator)
            let before = world.proposed.last?.hash
            try await world.expect("no proposal reaches it") {
                world.proposed.last.map { $0.hash != before && validator.downloads.contains($0.hash) }
                    ?? false
            }
            guard let block = world.proposed.last else { return }
            let vote = AckRes(
                height: block.height, block: block.hash, answer: .invalidBlock, by: validator.setup.key)
            try await carrier.gossip(vote, by: validator.setup.key, to: validator)
            try await world.expect("it goes on despite the other host", within: .seconds(10)) {
                validator.life != life
            }
            validator.delays = [:]
            await world.end([carrier])
            try await world.grow(3)
        },
        Scenario(
            "copied-validator",
            "Two hosts that run with one validator's key stop within 20 s, although their votes agree.",
            options: {
                $0.clients = 0
                $0.emptyBlockInterval = .seconds(3)
            }
        ) { world in
            let original = world.nodes[3]
            try await world.grow(2)
            // Restarts do not count as another host.
            for _ in 0..<2 {
                original.kill()
                await world.start(original)
                try await world.grow(2)
            }
            let life = original.life
            let copy = try world.copy(of: original)
            original.mayFail = true
            try await copy.start { _ in NodeObserver() }
            guard let node = copy.node else { throw CheckerFailure("scenario", "the copy does not start") }
            var reason: NodeError?
            Reactor.spawn { reason = await node.failure() }
            try await world.expect("a host does not stop", within: .seconds(20)) {
                reason != nil && original.life != life
            }
            let text = "\(reason, default: "")"
            try world.check(text.contains("another host votes"), "the copy stops for another reason: \(text)")
            await copy.stop()
            original.mayFail = false
            try await world.grow(3)
        },
    ]
}

extension World {
    /// Returns a machine with another one's key and configuration, an address of its own and an empty disk.
    fileprivate func copy(of machine: SimulatedNode) throws -> SimulatedNode {
        let address = try SocketAddress(ip: "10.201.0.1", port: 0)
        var configuration = machine.setup.configuration
        configuration.p2p.listen = ["\(address.ip):\(World.port)"]
        network.powerOn(address)
        return SimulatedNode(
            .init(
                name: "copy of \(machine.name)", key: machine.setup.key, address: address, genesis: genesis,
                configuration: configuration, applicationDirectory: nil,
                blockBudget: machine.setup.blockBudget),
            seed: options.seed &+ 1, clockSkew: 0)
    }
}

/// Strangers that replay an old signature as a new proposal; a stranger that is disconnected returns under another
/// key.
@ReactorActor
private final class Replayers {
    private let world: World
    private(set) var strangers: [Stranger] = []
    var isOver = false

    init(_ world: World) { self.world = world }

    func replay(_ block: Block, to machine: SimulatedNode) async {
        while !isOver, world.failure == nil {
            if !(strangers.last?.isPeer(of: machine) ?? false) {
                guard let next = try? Stranger(world, strangers.count + 1) else { return }
                strangers.append(next)
                await next.dial(machine)
            }
            strangers.last?.replay(block, to: machine)
            try? await Reactor.sleep(for: .milliseconds(500))
        }
    }
}

/// A host that claims to have a block that no node has, and never answers.
@ReactorActor
private final class Claimant {
    let stranger: Stranger
    private var height: Int64 = 1_000_000

    init(_ world: World, _ number: Int) throws {
        stranger = try Stranger(world, number)
        let names = [
            BlockHeightProtocol.id, BlockHeightProtocol.idWithBest, BlockProtocol.id,
            BlockRangeProtocol.id,
        ]
        for name in names {
            stranger.host.register(name) { stream in
                try? await Reactor.sleep(for: .seconds(120))
                stream.reset()
            }
        }
    }

    /// Announces an invented block without a signature, a higher one each time.
    func claim(to machine: SimulatedNode) async {
        height += 1
        let hash = Hash.sha256(of: Array("\(height)".utf8))
        guard
            let stream = try? await stranger.host.newStream(
                machine.key.peerID, [BlockAnnouncementProtocol.id])
        else { return }
        try? await stream.write(Array("blkann:\(hash):\(height)".utf8))
        stream.close()
    }
}

extension Stranger {
    /// Announces a proposal of the next height, newer than any other, with an old block's signature, and sends no
    /// block.
    fileprivate func replay(_ block: Block, to machine: SimulatedNode) {
        let tip = world.chain.tip
        let lie = BlockProposal(
            height: tip + 1, hash: block.hash, previousHash: world.chain.committed(at: tip)?.hash ?? .zero,
            stamp: .max, leaderSignature: block.signature, senderKey: SharedBytes(key.publicKey.bytes))
        Reactor.spawn { [self] in await offer(lie, to: machine) }
    }

    private func offer(_ proposal: BlockProposal, to machine: SimulatedNode) async {
        guard let stream = try? await host.newStream(machine.key.peerID, [BlockProposalProtocol.id])
        else { return }
        try? await stream.write(proposal.bytes)
        _ = try? await stream.read(upTo: 3)
        try? await Reactor.sleep(for: .seconds(60))
        stream.reset()
    }

    /// Announces a proposal that it has heard of, and withholds the block.
    fileprivate func withhold(_ block: Block, from machine: SimulatedNode) {
        let proposal = BlockProposal(block, sender: key.publicKey)
        Reactor.spawn { [self] in await offer(proposal, to: machine) }
    }

    /// Sends a machine an answer by gossip in its author's name.
    fileprivate func gossip(_ answer: AckRes, by author: PrivateKey, to machine: SimulatedNode) async throws {
        let stream = try await host.newStream(machine.key.peerID, [.meshsub11])
        let message = GossipMessage(topic: "acks", data: answer.bytes, sequence: 1, author: author)
        try await stream.write(message.rpc)
        stream.close()
    }
}
