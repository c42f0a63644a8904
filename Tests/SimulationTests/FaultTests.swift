import TestSupport
import Testing
import VirtualIO

@testable import LibP2P
@testable import Node
@testable import Simulation

@Suite struct FaultTests {
    /// The table of faults in docs/simulation.md names each kind once.
    @Test func thePageNamesEveryKind() throws {
        let page = try ProjectFile.text("docs/simulation.md")
        let begin = try #require(page.firstRange(of: "## Faults\n"))
        let section = page[begin.upperBound...].prefix { $0 != "#" }
        let cells = section.split(separator: "\n").filter { $0.hasPrefix("| ") }.dropFirst(2)
            .map { $0.dropFirst(2).prefix { $0 != "|" } }
        let names = cells.flatMap { $0.split(whereSeparator: { $0 == "," || $0 == " " }).map(String.init) }
        #expect(names.sorted() == FaultKind.allCases.map(\.rawValue).sorted())
    }

    /// Every protocol of Kwil or Apus on which a node serves streams gets garbage from the adversaries.
    @Test func adversariesSpeakEveryProtocol() throws {
        let (served, spoken) = try MemoryNetwork.run(seed: 1) {
            let options = Scenario("", "") { _ in }.options(seed: 1)
            let world = try World(options, directory: "/tmp/apus-fault-tests", trace: Trace(file: nil))
            await world.start(world.nodes[0])
            let served = world.nodes[0].node?.context.host.registrations.keys.sorted() ?? []
            await world.nodes[0].stop()
            return (served, Set(Adversary.protocols))
        }
        let ours = served.filter { $0.rawValue.hasPrefix("/kwil/") || $0.rawValue.hasPrefix("/apus/") }
        #expect(ours.count > 10)
        #expect(ours.filter { !spoken.contains($0) } == [], "add them to Adversary.protocols")
    }
}
