import TestSupport
import Testing

@testable import Simulation

@Suite struct ScenarioTests {
    @Test(arguments: Scenario.all.map(\.name)) func holds(_ name: String) throws {
        let scenario = try #require(Scenario.all.first { $0.name == name })
        let directory = try TemporaryDirectory()
        let report = Simulation.run(
            scenario.options(seed: 1), scenario: scenario, directory: "\(directory.path)/\(name)")
        #expect(report.failure == nil, "\(report.failure.map { "\($0)" } ?? "")")
    }
}
