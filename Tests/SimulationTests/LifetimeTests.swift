import Node
import Reactor
import Testing
import VirtualIO

@testable import Simulation

/// A crash or a stop leaves nothing behind in the process.
@Suite struct LifetimeTests {
    @Test(arguments: [true, false]) func aNodeIsFreed(crashes: Bool) throws {
        let isFreed = try MemoryNetwork.run(seed: 1) {
            let scenario = Scenario("", "") { _ in }
            let world = try World(
                scenario.options(seed: 1), directory: "/tmp/apus-lifetime-tests", trace: Trace(file: nil))
            for machine in world.nodes { await world.start(machine) }
            try await world.grow(3)
            let last = Weak(node: world.nodes[3].node)
            #expect(last.node != nil)
            if crashes { world.nodes[3].powerFail() } else { await world.nodes[3].stop() }
            // Longer than any timeout of its streams and dials.
            try await Reactor.sleep(for: .seconds(180))
            let isFreed = last.node == nil
            for machine in world.nodes { await machine.stop() }
            return isFreed
        }
        #expect(isFreed)
    }

    private struct Weak {
        weak var node: Node?
    }
}
