import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Node
import Protocols
import Reactor

extension Scenario {
    /// Nodes facing a host that has a leader's or a validator's key but none of its state.
    static let ghosts: [Scenario] = [
        Scenario(
            "leader-out-of-sync",
            "A leader that proposes at a committed height gets the block that it signed; a sentry ignores proposals.",
            options: { $0.clients = 0 }
        ) { world in
            try await world.grow(5)
            let (leader, voters, sentry) = (world.nodes[0], Array(world.nodes[1...3]), world.nodes[4])
            let ghost = try await world.ghost(of: leader, among: voters + [sentry])
            let height = voters.map(\.committed).min() ?? 0
            let old = world.rival(at: height, by: leader.setup.key)
            for voter in voters {
                try world.check(
                    try await !ghost.propose(old, to: voter), "\(voter.name) accepts an old proposal")
            }
            for voter in voters {
                try await world.expect("\(voter.name) does not answer that it is ahead", within: .seconds(10))
                {
                    ghost.answers(of: voter).contains { answer, _ in
                        guard case .outOfSync(let best, let signature) = answer.answer else { return false }
                        return best.height >= height && leader.key.verify(signature, of: best.hash.array)
                    }
                }
            }
            let next = world.rival(at: sentry.committed + 1, by: leader.setup.key)
            try world.check(try await !ghost.propose(next, to: sentry), "the sentry accepts a proposal")
            await ghost.stop()
            await world.start(leader)
            try await world.grow(3)
        },
        Scenario(
            "answers-again",
            "Validators refuse an invalid block, repeat their answer on a valid one, ask for its status, and serve it.",
            options: { $0.clients = 0 }
        ) { world in
            try await world.grow(5)
            let (leader, voters) = (world.nodes[0], Array(world.nodes[1...3]))
            let ghost = try await world.ghost(of: leader, among: voters)
            let height = try await world.expectLevel(voters) + 1
            let wrong = world.rival(at: height, by: leader.setup.key) { $0.previousAppHash = .zero }
            for voter in voters { _ = try await ghost.propose(wrong, to: voter) }
            for voter in voters {
                try await world.expect("\(voter.name) does not refuse the block", within: .seconds(10)) {
                    ghost.answers(of: voter).contains {
                        $0.said.block == wrong.hash && $0.said.answer == .invalidBlock
                    }
                }
            }
            let block = world.rival(at: height, by: leader.setup.key)
            for voter in voters { _ = try await ghost.propose(block, to: voter) }
            try await Reactor.sleep(for: .seconds(60))
            for voter in voters {
                let times = ghost.answers(of: voter).filter {
                    $0.said.block == block.hash && $0.said.appHash != nil
                }.map(\.at)
                let waits = zip(times.dropFirst(), times).map { $0 - $1 }
                try world.check((3...10).contains(waits.count), "\(voter.name) answers \(times.count) times")
                for (wait, before) in zip(waits.dropFirst(), waits) {
                    try world.check(wait > before * 1.5, "\(voter.name) waits \(before), then \(wait)")
                }
                try world.check(
                    ghost.inquirers.contains(voter.key.peerID), "\(voter.name) does not ask for the status")
                let status = try await ConsensusStatusProtocol.request(
                    height, from: voter.key.peerID, on: ghost.host, sizes: .largest)
                try world.check(
                    status.height == height - 1 && status.vote?.block == block.hash
                        && status.proposal?.hash == block.hash, "\(voter.name) reports \(status)")
                let held = try await ProposedBlockProtocol.request(
                    height: height, hash: block.hash, from: voter.key.peerID, on: ghost.host,
                    sizes: .largest)
                try world.check(held == block, "\(voter.name) does not serve the block")
            }
            await ghost.stop()
            await world.start(leader)
            try await world.grow(3)
        },
        Scenario(
            "proposal-unsent",
            "A validator whose leader announces a block and then breaks off gets it from another validator.",
            options: { $0.clients = 0 }
        ) { world in
            try await world.grow(5)
            let (leader, voters) = (world.nodes[0], Array(world.nodes[1...3]))
            let ghost = try await world.ghost(of: leader, among: voters)
            let height = try await world.expectLevel(voters) + 1
            let block = world.rival(at: height, by: leader.setup.key)
            let stream = try await ghost.host.newStream(
                voters[0].key.peerID, [BlockProposalProtocol.id])
            try await stream.write(BlockProposal(block, sender: leader.key).bytes)
            try world.check(try await stream.readExactly(3) == Array("get".utf8), "it is not wanted")
            // The others have it and have tried to relay it.
            _ = try await ghost.propose(block, to: voters[1])
            try await Reactor.sleep(for: .seconds(1))
            try world.check(ghost.answers(of: voters[0]).isEmpty, "it already has the block from another")
            stream.reset()
            try await world.expect("it does not get the block", within: .seconds(3)) {
                ghost.answers(of: voters[0]).contains { $0.said.block == block.hash }
            }
            await ghost.stop()
            await world.start(leader)
            try await world.grow(3)
        },
        Scenario(
            "commit-done",
            "Validators confirm, unasked, the commit of a block that the leader announces again.",
            options: { $0.clients = 0 }
        ) { world in
            try await world.grow(5)
            let (leader, voters) = (world.nodes[0], Array(world.nodes[1...3]))
            let ghost = try await world.ghost(of: leader, among: voters)
            let height = try await world.expectLevel(voters)
            for voter in voters {
                let found = try await BlockProtocol.request(
                    world.chain.committed(at: height)?.hash ?? .zero, from: voter.key.peerID, on: ghost.host,
                    sizes: .largest)
                guard let found else { throw CheckerFailure("scenario", "\(voter.name) has no block") }
                let announcement = BlockAnnouncement(found.block, found.commitInfo)
                _ = try await BlockAnnouncementProtocol.announce(
                    SharedBytes(announcement.bytes), block: found.block.bytes, to: voter.key.peerID,
                    on: ghost.host)
            }
            for voter in voters {
                try await world.expect("\(voter.name) does not confirm", within: .seconds(5)) {
                    ghost.commits.contains {
                        $0.height == height && $0.signature.publicKey == voter.key && $0.verify()
                    }
                }
            }
            await ghost.stop()
            await world.start(leader)
            try await world.grow(3)
        },
        Scenario(
            "withdrawn-again",
            "A validator that still answers a withdrawn proposal learns of the withdrawal again.",
            options: {
                $0.clients = 0
                $0.emptyBlockInterval = .seconds(5)
            }
        ) { world in
            try await world.grow(2)
            let leader = world.nodes[0]
            world.nodes[2].powerFail()
            let ghost = try await world.ghost(of: world.nodes[3], among: [leader])
            var resets = 0
            let gossip = Gossipsub(ghost.host, firstSequence: 1)
            gossip.subscribe("reset") { _, _ in resets += 1 }
            // Two of four votes are available.
            try await world.expect("nothing is proposed") { !ghost.proposals.isEmpty }
            try await world.expect("nothing is withdrawn", within: .seconds(120)) { resets == 1 }
            guard let block = ghost.proposals.last?.block else { return }
            let answer = AckRes(
                height: world.chain.tip + 1, block: block, answer: .ack(appHash: .zero),
                by: ghost.stranger.key)
            try await AcknowledgementProtocol.send(answer, to: leader.key.peerID, on: ghost.host)
            try await world.expect("the withdrawal is not repeated", within: .seconds(3)) { resets == 2 }
            gossip.stop()
            await ghost.stop()
            for machine in world.nodes[2...3] { await world.start(machine) }
            try await world.grow(3, within: .seconds(300))
        },
    ]
}

extension World {
    /// Kills a machine's node, and connects a witness with its key to others in its place.
    fileprivate func ghost(of machine: SimulatedNode, among others: [SimulatedNode]) async throws -> Witness {
        machine.kill()
        try await Reactor.sleep(for: .seconds(3))
        let ghost = try Witness(self, 1, key: machine.setup.key)
        try await ghost.join(self, others)
        return ghost
    }

    /// Waits until machines have committed the same height, and returns it.
    fileprivate func expectLevel(_ machines: [SimulatedNode]) async throws -> Int64 {
        let height = machines.map(\.committed).max() ?? 0
        try await expect("they are not level") { machines.allSatisfy { $0.committed == height } }
        return height
    }

    /// Returns an empty block that competes with the chain's, valid except for its signer and the changes by
    /// `change`. With the leader's key, nodes may vote for it.
    func rival(
        at height: Int64, by key: PrivateKey, change: (inout BlockHeader) -> Void = { _ in }
    ) -> Block {
        let before = chain.committed(at: height - 1)
        var header = BlockHeader(
            height: height, transactionCount: 0, previousHash: before?.hash ?? .zero,
            previousAppHash: before?.appHash ?? .zero,
            validatorSetHash: (before?.validators ?? genesis.validators).hash,
            networkParametersHash: genesis.parameters.hash, timestamp: nodes[0].wallClock, merkleRoot: .zero)
        change(&header)
        let block = Block.signed(header, transactions: [], by: key)
        if key.publicKey == nodes[0].key { votes.mayBeVotedFor(block.hash) }
        return block
    }
}

extension Witness {
    /// Proposes a block. Returns whether the machine's node accepts it.
    fileprivate func propose(_ block: Block, to machine: SimulatedNode) async throws -> Bool {
        try await BlockProposalProtocol.announce(
            BlockProposal(block, sender: stranger.key.publicKey), block: block.bytes, to: machine.key.peerID,
            on: host)
    }
}
