import Reactor

/// Checks that after the last fault every transaction still in progress is committed and every node reaches the tip
/// of that moment, each within `World.livenessBound`.
@ReactorActor
struct LivenessChecker {
    private let world: World

    init(_ world: World) { self.world = world }

    func run() async {
        world.isCalm = true
        world.trace.note("calm", "")
        await world.wait(.seconds(30)) {
            for machine in world.nodes { await world.start(machine) }
            return world.nodes.allSatisfy { $0.node != nil }
        }
        world.clients.stop()
        world.operators.stop()
        // The transactions still in progress cause a next block even where empty blocks are not made.
        let pending = await world.wait(World.livenessBound) { world.clients.isDone && world.operators.isDone }
        guard pending || world.failure != nil else {
            return world.fail("liveness", "clients still wait for transactions: \(await state())")
        }
        let goal = world.chain.tip
        let isLevel = await world.wait(World.livenessBound) {
            for machine in world.nodes { await world.start(machine) }
            return world.nodes.allSatisfy { $0.node != nil && $0.committed >= goal }
        }
        if !isLevel, world.failure == nil {
            world.fail("liveness", "nodes did not reach height \(goal): \(await state())")
        }
    }

    /// Returns the heights of the 20 lowest nodes.
    private func state() async -> String {
        let lowest = zip(world.nodes, await world.heights()).sorted { ($0.1 ?? -1) < ($1.1 ?? -1) }.prefix(20)
        return lowest.map { "\($0.name) \($1.map { "\($0)" } ?? "off")" }.joined(separator: ", ")
    }
}
