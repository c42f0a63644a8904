import Crypto
import Node
import Reactor

/// Checks at the end that every node's log holds the whole common chain, including all transactions reported to
/// clients as committed.
@ReactorActor
struct EndChecker {
    private let world: World

    init(_ world: World) { self.world = world }

    func run() async {
        for machine in world.nodes {
            guard let node = machine.node else {
                return world.fail("durability", "\(machine.name) is not running")
            }
            do {
                try await check(machine, node)
            } catch {
                guard !machine.isDamaged else { continue }
                world.fail("durability", "\(machine.name): \(error)")
            }
        }
        for (id, name) in world.clients.acknowledged where world.chain.heights[id] == nil {
            world.fail("acknowledged", "\(name) reported \(id) as committed, but it is not")
        }
    }

    /// Checks that a node has dropped only what it may.
    private func checkPruning(_ machine: SimulatedNode, _ first: Int64, tip: Int64) throws(CheckerFailure) {
        guard first > world.genesis.initialHeight + 1 else { return }
        world.faults["block log pruned", default: 0] += 1
        let kept = Int64(machine.setup.configuration.storage.keepBlocks)
        guard kept > 0, first <= tip - kept + 1 else {
            throw CheckerFailure("durability", "it keeps only the blocks from \(first) to \(tip)")
        }
    }

    private func check(_ machine: SimulatedNode, _ node: Node) async throws {
        let first = max(world.genesis.initialHeight + 1, node.firstHeight ?? 0)
        try checkPruning(machine, first, tip: await node.status().height)
        var height = first
        while height <= (await node.status().height) {
            guard let stored = try await node.block(at: height) else {
                throw CheckerFailure("durability", "block \(height) is missing")
            }
            guard let expected = world.chain.committed(at: height), stored.hash == expected.hash else {
                throw CheckerFailure(
                    "agreement", "block \(height) is \(stored.hash), not the one that was committed")
            }
            height += 1
        }
        // A node counts the transactions of a block just after it has reached its height.
        let counts = await world.wait(.seconds(5)) {
            let status = await node.status()
            return status.transactionCount == world.chain.transactionCount(upTo: status.height)
        }
        guard counts else {
            let count = await node.status().transactionCount
            throw CheckerFailure("agreement", "it counts \(count) transactions, which is wrong")
        }
        let network = await node.network()
        if let expected = world.chain.committed(at: network.height), network.validators != expected.validators
        {
            throw CheckerFailure(
                "agreement",
                "\(network.validators.count) validators are known, not \(expected.validators.count)")
        }
        for (id, _) in world.clients.acknowledged where world.chain.heights[id] ?? 0 >= first {
            guard try await node.transaction(id)?.height ?? -1 >= 0 else {
                throw CheckerFailure("acknowledged", "transaction \(id) was acknowledged but is missing")
            }
        }
    }
}
