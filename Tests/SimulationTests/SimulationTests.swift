import Testing

@testable import Simulation

@Suite struct SimulationTests {
    @Test func aSeedGivesTheSameOptions() {
        #expect(SimulationOptions(seed: 7) == SimulationOptions(seed: 7))
        #expect(SimulationOptions(seed: 7) != SimulationOptions(seed: 8))
    }

    @Test func runsRepeat() {
        let (first, second) = (run(3), run(3))
        #expect(first.failure == nil)
        #expect(first.traceHash == second.traceHash)
        #expect(first.height > 1)
    }

    private func run(_ seed: UInt64) -> SimulationReport {
        var options = SimulationOptions(seed: seed)
        options.validators = 3
        options.sentries = 1
        options.blocks = 5
        options.execution = .noop
        return Simulation.run(options, directory: "/tmp/apus-simulation-tests")
    }
}
