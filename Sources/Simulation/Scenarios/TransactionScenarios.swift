import Chain
import Crypto
import Node
import Protocols
import Reactor

extension Scenario {
    /// The path of transactions to the leader.
    static let transactions: [Scenario] = [
        Scenario(
            "sentry-chain", "Transactions reach the leader through a chain of four sentries.",
            options: {
                $0.sentries = 4
                $0.clients = 0
            }
        ) { world in
            // Each sentry reaches only its neighbours, as if firewalls stood between the others.
            for (index, one) in world.nodes.enumerated() where index >= 4 {
                for (place, other) in world.nodes.enumerated() {
                    let isNeighbour = abs(place - index) == 1
                    if !isNeighbour { world.cut(one, other) }
                    if place == index - 1 {
                        await one.stop()
                        one.setup.configuration.p2p.bootnodes = [world.bootnode(other)]
                        await world.start(one)
                    }
                }
            }
            let ids = try await world.send(20, at: world.nodes[7], from: 1)
            try await world.expectCommitted(ids, within: .seconds(120))
        },
        Scenario(
            "leader-away", "Transactions wait for a leader that is off, and reach it when it restarts.",
            options: { $0.clients = 0 }
        ) { world in
            try await world.grow(2)
            world.nodes[0].powerFail()
            var ids = try await world.send(10, at: world.nodes[4], from: 1)
            try await Reactor.sleep(for: .seconds(20))
            // The node that accepted them goes off, too: others have them by now.
            world.nodes[4].powerFail()
            ids += try await world.send(10, at: world.nodes[5], from: 11)
            try await Reactor.sleep(for: .seconds(60))
            await world.start(world.nodes[0])
            try await world.expectCommitted(ids, within: .seconds(120))
            await world.start(world.nodes[4])
        },
        Scenario(
            "leader-returns-to-many",
            "A leader that returns gets all of the many transactions that wait at its only peer, as fast as its mempool takes them.",
            options: { $0.clients = 0 }
        ) { world in
            try await world.grow(2)
            let (leader, holder) = (world.nodes[0], world.nodes[1])
            leader.powerFail()
            leader.setup.configuration.mempool.maxTransactions = 2_000
            let others = world.nodes.filter { $0 !== leader && $0 !== holder }
            world.cut(holder, from: others)
            let ids = try await world.sendTogether(9_500, at: holder)
            // It announces them again 75 and 155 seconds after their arrival.
            try await Reactor.sleep(for: .seconds(80))
            await world.start(leader)
            try await world.expectCommitted(ids, within: .seconds(60))
            world.heal(holder, with: others)
        },
        Scenario(
            "full-mempool",
            "Three senders fill a small mempool. It takes a fourth sender's transaction, fetches none, and goes on after a block.",
            options: { $0.clients = 0 }
        ) { world in
            try await world.grow(2)
            let (leader, sentry) = (world.nodes[0], world.nodes[4])
            await sentry.stop()
            sentry.setup.configuration.mempool.maxTransactions = 120
            await world.start(sentry)
            leader.powerFail()
            let keys = world.nodes[1...3].map(\.setup.key)
            for nonce in 1...50 as ClosedRange<UInt64> {
                for key in keys {
                    let bytes = try world.transfer(nonce: nonce, by: key).bytes
                    do {
                        _ = try await sentry.node?.broadcast(bytes, waitForCommit: false)
                        try world.check(nonce <= 40, "a full mempool takes transaction \(nonce) of a sender")
                    } catch NodeError.rejected(.mempoolFull, _) {
                        try world.check(nonce > 40, "a mempool with room refuses a transaction")
                    }
                }
            }
            let fourth = try world.transfer(nonce: 1, by: world.nodes[5].setup.key)
            _ = try await sentry.node?.broadcast(fourth.bytes, waitForCommit: false)
            let witness = try Witness(world, 1)
            try await witness.join(world, [sentry])
            let other = try world.transfer(nonce: 1, by: world.nodes[0].setup.key)
            func announce() async throws -> Bool {
                try await TransactionAnnouncementProtocol.announce(
                    other.id, other.bytes, to: sentry.key.peerID, on: witness.host)
            }
            try world.check(try await !announce(), "a full mempool fetches a transaction")
            await world.start(leader)
            try await world.expectCommitted([fourth.id], within: .seconds(120))
            try await world.expect("a mempool with room fetches nothing", within: .seconds(10)) {
                (try? await announce()) == true
            }
            try await world.expectCommitted([other.id], within: .seconds(60))
            await witness.stop()
        },
        Scenario(
            "long-transactions",
            "Long transactions of a sentry's clients reach all nodes through one validator each, and also if that is cut off.",
            options: { $0.clients = 0 }
        ) { world in
            try await world.grow(2)
            let (leader, cut, sentry) = (world.nodes[0], world.nodes[1], world.nodes[4])
            let rest = Array(world.nodes[1...])
            // The sentry must have told something to the one that is cut off.
            try await world.expect("\(sentry.name) does not know all validators") {
                let peers = sentry.node?.connectedPeers ?? []
                return world.nodes[1...3].allSatisfy { peers.contains($0.key.peerID) }
            }
            try await Reactor.sleep(for: .seconds(3))
            leader.powerFail()
            var ids = try await world.sendLong(1...12, at: sentry, to: rest, within: .seconds(5))
            world.isolate(cut, true)
            ids += try await world.sendLong(
                13...24, at: sentry, to: Array(rest.dropFirst()), within: .seconds(5))
            world.isolate(cut, false)
            await world.start(leader)
            try await world.expectCommitted(ids, within: .seconds(120))
        },
        Scenario(
            "leader-cut", "A leader that was cut off when transactions were announced gets them later.",
            options: { $0.clients = 0 }
        ) { world in
            try await world.grow(2)
            world.isolate(world.nodes[0], true)
            let ids = try await world.send(10, at: world.nodes[4], from: 1)
            try await Reactor.sleep(for: .seconds(45))
            world.isolate(world.nodes[0], false)
            try await world.expectCommitted(ids, within: .seconds(180))
        },
        Scenario(
            "blocks-only",
            "A node without a mempool follows, and another whose only peer it is follows through it.",
            options: { $0.clients = 1 }
        ) { world in
            let (archive, last) = (world.nodes[4], world.nodes[5])
            for machine in [archive, last] { await machine.stop() }
            archive.setup.configuration.mempool.isEnabled = false
            last.setup.configuration.p2p.bootnodes = [world.bootnode(archive)]
            for other in world.nodes where other !== archive && other !== last { world.cut(last, other) }
            try await world.grow(10)
            for machine in [archive, last] { await world.start(machine) }
            for machine in [archive, last] {
                try await world.expect("\(machine.name) does not catch up") {
                    machine.committed >= world.chain.tip - 1
                }
            }
            for _ in 0..<30 {
                try await Reactor.sleep(for: .seconds(1))
                let status = await archive.node?.status()
                guard status?.isBlocksOnly == true, status?.mempoolCount == 0 else {
                    throw CheckerFailure(
                        "scenario", "the archive has \(status?.mempoolCount ?? -1) transactions")
                }
            }
            for machine in [archive, last] {
                guard machine.committed >= world.chain.tip - 2 else {
                    throw CheckerFailure("scenario", "\(machine.name) does not follow")
                }
            }
            for other in world.nodes where other !== archive && other !== last {
                world.cut(last, other, false)
            }
        },
        Scenario(
            "rivals",
            "Of two transactions with one nonce, one is committed and the other leaves every mempool.",
            options: { $0.clients = 0 }
        ) { world in
            try await world.grow(2)
            let rivals = try [0, 1].map { try world.transfer($0, nonce: 1) }
            for (machine, rival) in zip(world.nodes[4...5], rivals) {
                _ = try await machine.node?.broadcast(rival.bytes, waitForCommit: false)
            }
            try await world.expect("none is committed") {
                rivals.contains { world.chain.heights[$0.id] != nil }
            }
            for machine in world.nodes {
                try await world.expect("\(machine.name) keeps the other transaction", within: .seconds(10)) {
                    await machine.node?.status().mempoolCount == 0
                }
            }
            try await world.grow(3)
            try world.check(rivals.count { world.chain.heights[$0.id] != nil } == 1, "both are committed")
        },
        Scenario(
            "syncing-blocks-only",
            "A syncing node accepts blocks only, and afterwards the unconfirmed transactions.",
            options: { $0.clients = 0 }
        ) { world in
            let (sentry, other) = (world.nodes[4], world.nodes[5])
            sentry.powerFail()
            world.wiped(sentry)
            try await world.grow(40)
            // No recent block exists, and none is made.
            world.nodes[0].powerFail()
            try await Reactor.sleep(for: .seconds(40))
            sentry.delays["execution"] = .milliseconds(300)
            await world.start(sentry)
            try await world.expect("it does not start to sync") { sentry.committed >= 5 }
            let ids = try await world.send(10, at: other, from: 1)
            while sentry.committed < world.chain.tip - 2 {
                let count = await sentry.node?.status().mempoolCount
                try world.check(
                    count == 0, "it has \(count ?? -1) transactions at height \(sentry.committed)")
                try await Reactor.sleep(for: .milliseconds(200))
            }
            try await world.expect("it does not accept the unconfirmed transactions") {
                await sentry.node?.status().mempoolCount == 10
            }
            sentry.delays = [:]
            await world.start(world.nodes[0])
            try await world.expectCommitted(ids, within: .seconds(120))
        },
    ]
}

extension World {
    /// Sends `count` transfers of one account, with nonces from `nonce` on, to a machine's node. Returns their IDs.
    func send(_ count: Int, at machine: SimulatedNode, from nonce: UInt64) async throws -> [Hash] {
        var ids: [Hash] = []
        for offset in 0..<UInt64(count) {
            let transaction = try transfer(nonce: nonce + offset)
            guard let node = machine.node else { throw CheckerFailure("scenario", "\(machine.name) is off") }
            ids.append(try await node.broadcast(transaction.bytes, waitForCommit: false).id)
        }
        return ids
    }

    /// Sends the first `count` transfers of that account to a machine's node, all at once. Returns their IDs.
    func sendTogether(_ count: Int, at machine: SimulatedNode) async throws -> [Hash] {
        guard let node = machine.node else { throw CheckerFailure("scenario", "\(machine.name) is off") }
        let transactions = try (1...UInt64(count)).map { try transfer(nonce: $0) }
        let sent = Counter()
        for transaction in transactions {
            Reactor.spawn {
                _ = try? await node.broadcast(transaction.bytes, waitForCommit: false)
                sent.value += 1
            }
        }
        try await expect("\(machine.name) does not take all transactions", within: .seconds(60)) {
            sent.value == count
        }
        return transactions.map(\.id)
    }

    /// Returns a transfer, by default of the account that `send` uses.
    func transfer(
        _ amount: Amount = 0, nonce: UInt64, by key: PrivateKey? = nil
    ) throws -> Transaction {
        let key = key ?? nodes[1].setup.key
        return try Transaction.signed(
            TransactionBody(
                .transfer(to: AccountID(key.publicKey), amount: amount), nonce: nonce,
                chainID: genesis.chainID),
            by: key)
    }

    /// Sends transactions that peers pass on to each other, of the account that `send` uses, to a machine's node, and waits until
    /// each of `others` holds them and those with the nonces before. Returns their IDs.
    func sendLong(
        _ nonces: ClosedRange<UInt64>, at machine: SimulatedNode, to others: [SimulatedNode],
        within limit: Duration
    ) async throws -> [Hash] {
        guard let node = machine.node else { throw CheckerFailure("scenario", "\(machine.name) is off") }
        var ids: [Hash] = []
        for nonce in nonces {
            let body = TransactionBody(Workload.long, nonce: nonce, chainID: genesis.chainID)
            let transaction = try Transaction.signed(body, by: nodes[1].setup.key)
            ids.append(try await node.broadcast(transaction.bytes, waitForCommit: false).id)
        }
        for other in others {
            try await expect("\(other.name) lacks some of \(nonces.upperBound) transactions", within: limit) {
                await other.node?.status().mempoolCount == Int(nonces.upperBound)
            }
        }
        return ids
    }

    func expectCommitted(_ ids: [Hash], within limit: Duration) async throws {
        try await expect("some of \(ids.count) transactions are not committed", within: limit) {
            ids.allSatisfy { chain.heights[$0] != nil }
        }
    }
}
