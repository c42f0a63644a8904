import Reactor

/// After faults stop, every node reaches one tip beyond the former within `World.livenessBound`, and every transaction
/// that a client still sends is committed.
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
        let tip = world.chain.tip
        world.clients.stop()
        world.operators.stop()
        // Something to commit, so that there is a next block even when empty ones are not made.
        let pending = await world.wait(World.livenessBound) { world.clients.isDone && world.operators.isDone }
        guard pending || world.failure != nil else {
            return world.fail("liveness", "clients still wait for transactions: \(await state())")
        }
        let isLevel = await world.wait(World.livenessBound) {
            for machine in world.nodes { await world.start(machine) }
            let heights = await world.heights()
            guard let first = heights.first, let height = first else { return false }
            return height >= tip && heights.allSatisfy { $0 == height }
        }
        if !isLevel, world.failure == nil { world.fail("liveness", "not level: \(await state())") }
    }

    private func state() async -> String {
        let heights = await world.heights()
        return zip(world.nodes, heights).map { "\($0.name) \($1.map { "\($0)" } ?? "off")" }.joined(
            separator: ", ")
    }
}
