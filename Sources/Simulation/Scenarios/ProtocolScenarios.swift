import Bytes
import Chain
import Crypto
import Multiformats
import Protocols
import Reactor

extension Scenario {
    /// Hosts that speak only the requirements' protocols, or misuse them.
    static let protocols: [Scenario] = [
        Scenario(
            "plain-peer",
            "A host without Apus' own protocols sends and gets transactions, and gets blocks by height and by hash.",
            options: { $0.clients = 0 }
        ) { world in
            let (validator, sentry) = (world.nodes[1], world.nodes[4])
            let witness = try Witness(world, 1)
            try await witness.join(world, [validator, sentry])
            let (host, peer, voter) = (witness.host, sentry.key.peerID, validator.key.peerID)
            let own = try world.transfer(nonce: 1)
            try world.check(
                await TransactionAnnouncementProtocol.announce(own.id, own.bytes, to: peer, on: host),
                "an announced transaction is not fetched")
            try await world.expectCommitted([own.id], within: .seconds(30))
            try world.check(
                await !TransactionAnnouncementProtocol.announce(own.id, own.bytes, to: peer, on: host),
                "a transaction is fetched again")
            try world.check(
                witness.announced.contains { $0.id == own.id && $0.by == voter },
                "the validator does not relay the transaction")
            try world.check(
                await witness.request(own.id, from: peer) == own.bytes,
                "the transaction is missing")
            let unknown = Hash.sha256(of: [1])
            try world.check(
                await witness.request(unknown, from: peer) == nil,
                "a transaction that does not exist is served")
            let next = try await world.send(1, at: sentry, from: 2)
            try await world.expect("a new transaction is not announced") { witness.has(next[0]) }
            guard let height = world.chain.heights[own.id],
                let hash = world.chain.committed(at: height)?.hash
            else { throw CheckerFailure("scenario", "no block") }
            let byHeight = try await BlockHeightProtocol.request(
                height, from: voter, on: host, sizes: .largest)
            let byHash = try await BlockProtocol.request(hash, from: voter, on: host, sizes: .largest)
            try world.check(byHash?.block.transactions.contains(own.bytes) == true, "the block is missing")
            try world.check(
                byHeight.found?.block == byHash?.block,
                "requests by height and by hash return different blocks")
            let beyond = try await BlockHeightProtocol.request(
                height + 1_000, from: voter, on: host, sizes: .largest)
            try world.check(
                beyond.found == nil && beyond.bestHeight ?? 0 >= height, "a block above the tip is served")
            try world.check(
                await BlockProtocol.request(unknown, from: voter, on: host, sizes: .largest) == nil,
                "a block that does not exist is served")
            await witness.stop()
        },
        Scenario(
            "next-announcer",
            "If a peer announces a transaction and does not send it, the next peer that announced it is asked.",
            options: { $0.clients = 0 }
        ) { world in
            let sentry = world.nodes[4]
            let (silent, other) = (try Witness(world, 1), try Witness(world, 2))
            for witness in [silent, other] { try await witness.join(world, [sentry]) }
            let transaction = try world.transfer(nonce: 1)
            other.keep(transaction)
            let stream = try await silent.host.newStream(
                sentry.key.peerID, [TransactionAnnouncementProtocol.id])
            try await stream.write(Array("txann:\(transaction.id)".utf8))
            try world.check(try await stream.readExactly(3) == Array("get".utf8), "it is not wanted")
            try world.check(
                try await !TransactionAnnouncementProtocol.announce(
                    transaction.id, transaction.bytes, to: sentry.key.peerID, on: other.host),
                "it is requested from two peers at once")
            try await world.expectCommitted([transaction.id], within: .seconds(30))
            try world.check(other.askers == [sentry.key.peerID], "the next peer is not asked")
            for witness in [silent, other] { await witness.stop() }
        },
        Scenario(
            "leader-announces",
            "The leader announces blocks, but only its own transactions; proposals go to validators only.",
            options: { $0.clients = 0 }
        ) { world in
            let (leader, sentry) = (world.nodes[0], world.nodes[4])
            let witness = try Witness(world, 1)
            // A transaction taken from one peer would not be announced by others.
            witness.takes = false
            await world.restart(leader) { $0.sentries = [witness.stranger.key.publicKey.nodeID] }
            try await witness.join(world, Array(world.nodes[...3]))
            let others = try await world.send(5, at: sentry, from: 1)
            try await world.expectCommitted(others, within: .seconds(60))
            let own = try await world.send(5, at: leader, from: 6)
            try await world.expectCommitted(own, within: .seconds(60))
            try await Reactor.sleep(for: .seconds(5))
            try world.check(
                witness.heard(others, from: leader) == 0, "the leader relays others' transactions")
            try world.check(
                witness.heard(own, from: leader) == 5, "the leader does not announce its own transactions")
            try world.check(
                world.nodes[1...3].contains { witness.heard(others, from: $0) == 5 },
                "no validator relays them"
            )
            for machine in world.nodes[...3] {
                try world.check(
                    witness.announcers.contains(machine.key.peerID), "\(machine.name) announces no blocks")
            }
            try world.check(witness.proposals.isEmpty, "a proposal is offered to a host without a vote")
            await witness.stop()
        },
        Scenario(
            "announced-again",
            "An unconfirmed transaction is announced again, after growing waits, until it is in a block.",
            options: {
                $0.clients = 0
                $0.emptyBlockInterval = .seconds(20)
            }
        ) { world in
            try await world.grow(2)
            let sentry = world.nodes[4]
            let witness = try Witness(world, 1)
            witness.takes = false
            try await witness.join(world, [sentry])
            world.nodes[0].powerFail()
            let ids = try await world.send(1, at: sentry, from: 1)
            try await Reactor.sleep(for: .seconds(180))
            let times = witness.times(of: ids[0], from: sentry)
            let waits = zip(times.dropFirst(), times).map { $0 - $1 }
            try world.check((3...10).contains(waits.count), "announced \(waits.count + 1) times")
            for (wait, before) in zip(waits.dropFirst(), waits) {
                try world.check(wait > before * 1.5, "announced again after \(before) and \(wait)")
            }
            await world.start(world.nodes[0])
            try await world.expectCommitted(ids, within: .seconds(120))
            let count = witness.times(of: ids[0], from: sentry).count
            try await Reactor.sleep(for: .seconds(200))
            try world.check(
                witness.times(of: ids[0], from: sentry).count == count, "announced after it was mined")
            await witness.stop()
        },
        Scenario(
            "proposal-relayed",
            "A validator that cannot reach the leader gets proposals from another, and its votes count.",
        ) { world in
            let (leader, far) = (world.nodes[0], world.nodes[3])
            try await world.grow(3)
            // Three of four must vote, and one is off.
            await world.nodes[2].stop()
            world.cut(leader, far, true)
            try await Reactor.sleep(for: .seconds(3))
            try await world.next(.voted, at: far)
            try await world.grow(5)
            world.cut(leader, far, false)
            await world.start(world.nodes[2])
        },
        Scenario(
            "forger",
            "A peer that proposes and announces blocks without the leader's signature is asked for none and is banned.",
            options: {
                $0.blockInterval = .seconds(2)
                $0.emptyBlockInterval = .seconds(10)
            }
        ) { world in
            try await world.grow(2)
            for (number, announces) in [false, true].enumerated() {
                let validator = world.nodes[1 + number]
                let forger = try Stranger(world, number)
                var wanted = 0
                for _ in 0..<6 {
                    guard await forger.dial(validator) else { break }
                    let block = world.rival(at: world.chain.tip + 1, by: forger.key)
                    let isWanted: Bool?
                    if announces {
                        let info = CommitInfo(
                            appHash: .zero, votes: [], parameterUpdates: ParameterUpdates(),
                            validatorUpdates: [])
                        isWanted = try? await BlockAnnouncementProtocol.announce(
                            SharedBytes(BlockAnnouncement(block, info).bytes), block: block.bytes,
                            to: validator.key.peerID, on: forger.host)
                    } else {
                        isWanted = try? await BlockProposalProtocol.announce(
                            BlockProposal(block, sender: forger.key.publicKey), block: block.bytes,
                            to: validator.key.peerID, on: forger.host)
                    }
                    if isWanted == true { wanted += 1 }
                    try await Reactor.sleep(for: .milliseconds(500))
                }
                try world.check(wanted == 0, "forged blocks are requested")
                await forger.dial(validator)
                try await Reactor.sleep(for: .seconds(1))
                try world.check(!forger.isPeer(of: validator), "the forger is not banned")
                await world.end([forger])
            }
            try await world.grow(3)
        },
    ]
}
