import Foundation
import Testing

@testable import Simulation

@Suite struct ScenarioTests {
    @Test(arguments: Scenario.all.map(\.name)) func holds(_ name: String) throws {
        let scenario = try #require(Scenario.all.first { $0.name == name })
        let directory = "\(FileManager.default.temporaryDirectory.path)/apus-scenario-\(name)"
        let report = Simulation.run(scenario.options(seed: 1), scenario: scenario, directory: directory)
        #expect(report.failure == nil, "\(report.failure.map { "\($0)" } ?? "")")
    }
}
