import Crypto
import Node
import Testing

@testable import Simulation

/// The checker must refuse what cannot be.
@Suite struct StageCheckerTests {
    private func trace(_ times: [(BlockStage, Int)]) -> BlockTrace {
        var trace = BlockTrace(height: 3, hash: .zero, role: .validator)
        trace.stages = times.map { StageTime($0.0, at: .milliseconds($0.1)) }
        return trace
    }

    private let sound: [(BlockStage, Int)] = [
        (.header, 1), (.body, 2), (.verified, 3), (.executed, 5), (.voteDurable, 6), (.ackSent, 6),
        (.quorum, 4), (.logged, 7), (.committed, 7),
    ]

    @Test func orderCounts() throws {
        try StageChecker.check(trace(sound), of: "a")
        for (stage, time) in [(BlockStage.executed, 2), (.logged, 3), (.ackSent, 5), (.body, 0)] {
            let broken = sound.map { $0.0 == stage ? (stage, time) : $0 }
            #expect(throws: CheckerFailure.self) { try StageChecker.check(trace(broken), of: "a") }
        }
    }

    @Test func everyCommittedBlockHasAQuorum() {
        for stage in [BlockStage.executed, .quorum, .logged, .committed] {
            let broken = sound.filter { $0.0 != stage }
            #expect(throws: CheckerFailure.self) { try StageChecker.check(trace(broken), of: "a") }
        }
    }
}
