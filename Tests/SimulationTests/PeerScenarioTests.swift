import Testing

@testable import Simulation

/// Who is connected with whom, in whole networks.
@Suite struct PeerScenarioTests {
    @Test(arguments: Scenario.peers.map(\.name), [1, 2])
    func holds(_ name: String, _ seed: UInt64) throws {
        let scenario = try #require(Scenario.peers.first { $0.name == name })
        let report = Simulation.run(
            scenario.options(seed: seed), scenario: scenario, directory: "/tmp/apus-peer-scenarios")
        #expect(report.failure == nil, "\(report.failure.map { "\($0)" } ?? "")")
    }
}
