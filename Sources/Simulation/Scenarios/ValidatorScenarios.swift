import Chain
import Crypto
import Reactor

extension Scenario {
    /// Validators that join and leave. Each set is tested by switching off all machines that its quorum does not
    /// need: under the previous set no block could follow.
    static let validators: [Scenario] = [
        Scenario(
            "validator-joins",
            "A sentry is approved by three of four validators, and then its vote is decisive."
        ) {
            world in
            let sentry = world.nodes[4]
            try await world.commit(.validatorJoin(power: 1), by: sentry)
            for index in 0..<2 {
                try await world.commit(.validatorApprove(sentry.key), by: world.nodes[index])
            }
            try await world.expectSet(4, with: sentry, false)
            try await world.commit(.validatorApprove(sentry.key), by: world.nodes[2])
            try await world.expectSet(5, with: sentry, true)
            // Until it has more peers than the one that it began with, which goes off.
            try await world.expect("it finds no peers") { await sentry.node?.status().peerCount ?? 0 > 2 }
            try await world.grow(3, without: [2, 3])
        },
        Scenario("validator-leaves", "A validator leaves, and two of the three others are enough.") { world in
            let leaver = world.nodes[3]
            try await world.commit(.validatorLeave, by: leaver)
            try await world.expectSet(3, with: leaver, false)
            try await world.grow(3, without: [2, 3])
            try await world.expect("it does not follow") { leaver.committed >= world.chain.tip - 1 }
        },
        Scenario(
            "validator-removed", "Validators remove a validator that is off, and another that is cut off."
        ) {
            world in
            let (first, second) = (world.nodes[3], world.nodes[2])
            first.powerFail()
            for index in 0..<3 { try await world.commit(.validatorRemove(first.key), by: world.nodes[index]) }
            try await world.expectSet(3, with: first, false)
            world.isolate(second, true)
            for index in 0..<2 {
                try await world.commit(.validatorRemove(second.key), by: world.nodes[index])
            }
            try await world.expectSet(2, with: second, false)
            await world.start(first)
            try await world.grow(3)
            world.isolate(second, false)
            for machine in [first, second] {
                try await world.expect("\(machine.name) does not follow") {
                    let status = await machine.node?.status()
                    return status?.role == .sentry && machine.committed >= world.chain.tip - 1
                }
            }
        },
        Scenario(
            "validators-change",
            "Validators join, leave and are removed, one after another, for sixty blocks.",
            options: {
                $0.sentries = 3
                $0.validatorInterval = .milliseconds(500)
                $0.joinExpiry = .seconds(10)
            }
        ) { world in
            try await world.grow(60)
        },
        Scenario(
            "join-expires", "A request to join that is not approved in time expires, and may be made again.",
            options: { $0.joinExpiry = .seconds(20) }
        ) { world in
            let sentry = world.nodes[5]
            try await world.commit(.validatorJoin(power: 1), by: sentry)
            for index in 0..<2 {
                try await world.commit(.validatorApprove(sentry.key), by: world.nodes[index])
            }
            for machine in world.nodes {
                try await world.expect("\(machine.name) still has the request") {
                    (try? await machine.node?.validatorRequests())?.isEmpty == true
                }
            }
            try await world.commit(.validatorApprove(sentry.key), by: world.nodes[2], code: .invalidSender)
            try await world.expectSet(4, with: sentry, false)
            try await world.commit(.validatorJoin(power: 1), by: sentry)
            for index in 0..<3 {
                try await world.commit(.validatorApprove(sentry.key), by: world.nodes[index])
            }
            try await world.expectSet(5, with: sentry, true)
        },
    ]
}

extension World {
    /// Sends a payload with a machine's key through its own node, or the leader's if that is off, and waits until it
    /// is committed with this code.
    func commit(
        _ payload: Payload, by machine: SimulatedNode, code: TransactionCode = .ok
    ) async throws {
        guard let node = machine.node ?? nodes[0].node else {
            throw CheckerFailure("scenario", "neither \(machine.name) nor the leader is running")
        }
        let nonce = try await node.account(AccountID(machine.key))?.nonce ?? 0
        let transaction = try Transaction.signed(
            TransactionBody(payload, nonce: nonce + 1, chainID: genesis.chainID), by: machine.setup.key)
        _ = try await node.broadcast(transaction.bytes, waitForCommit: false)
        try await expect("\(payload.type) of \(machine.name) is not committed") {
            chain.heights[transaction.id] != nil
        }
        try await expect("\(machine.name) has no result of its \(payload.type)") {
            (try? await node.transaction(transaction.id))??.result != nil
        }
        let result = try await node.transaction(transaction.id)?.result
        guard result?.code == code.rawValue else {
            throw CheckerFailure(
                "scenario", "\(payload.type) of \(machine.name): \(result?.code ?? 0) \(result?.log ?? "")")
        }
    }

    /// Waits for a set of `count` validators with or without a machine.
    func expectSet(_ count: Int, with machine: SimulatedNode, _ isMember: Bool) async throws {
        try await expect("not \(count) validators, \(machine.name) \(isMember ? "with" : "without") them") {
            let set = chain.committed(at: chain.tip)?.validators ?? genesis.validators
            return set.count == count && set.contains(machine.key) == isMember
        }
    }

    /// Waits for blocks while some machines are off.
    func grow(_ blocks: Int64, without absent: [Int]) async throws {
        for index in absent { nodes[index].powerFail() }
        try await grow(blocks)
        for index in absent { await start(nodes[index]) }
    }
}
