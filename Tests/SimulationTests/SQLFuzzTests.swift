import Bytes
import Testing

@testable import Execution
@testable import Simulation

/// The generator is deterministic and uses every function, and cases shrink without changing otherwise.
@Suite struct SQLFuzzTests {
    @Test func aSeedIsOneCase() {
        #expect(SQLFuzzCase(seed: 5) == SQLFuzzCase(seed: 5))
        #expect(SQLFuzzCase(seed: 5).blocks != SQLFuzzCase(seed: 6).blocks)
    }

    @Test func everyAllowedFunctionIsCalled() {
        let lists = [SQLGenerator.functions, SQLGenerator.aggregates, SQLGenerator.windows]
        let called = Set(lists.joined().map { RawText($0.name) })
        #expect(called.union(["->", "->>"]) == SQLFunctions.deterministic)
    }

    @Test func shrinkingKeepsWhatFails() {
        let whole = SQLFuzzCase(seed: 9)
        let culprit = whole.blocks[6][0]
        let smallest = whole.shrunk(attempts: 1_000) { $0.blocks[6].contains(culprit) }
        #expect(smallest.blocks[6] == [culprit])
        #expect(smallest.blocks.joined().count == 1)
        #expect(smallest.blocks.count == whole.blocks.count)
    }

    @Test func shrinkingEnds() {
        var asked = 0
        _ = SQLFuzzCase(seed: 9).shrunk(attempts: 3) { _ in
            asked += 1
            return true
        }
        #expect(asked == 3)
    }
}
