import Testing

@testable import Node

/// A node that knows nobody of its chain does not say that all is well.
@Suite struct IsolationTests {
    @Test func withoutAPeerOfTheChainNothingIsKnown() throws {
        var isolation = Isolation()
        #expect(isolation.reason(makesBlocksAlone: false, now: .zero) != nil)
        isolation.members(0, now: .seconds(1))
        #expect(isolation.reason(makesBlocksAlone: false, now: .seconds(1_000)) != nil)
        isolation.met(foreign: "of the chain other")
        let reason = try #require(isolation.reason(makesBlocksAlone: false, now: .seconds(1_000)))
        #expect(reason.contains("of the chain other"))
        isolation.members(1, now: .seconds(1_001))
        #expect(isolation.reason(makesBlocksAlone: false, now: .seconds(1_001)) == nil)
    }

    @Test func aWhileWithoutPeersIsNoIsolation() {
        var isolation = Isolation()
        isolation.members(2, now: .zero)
        isolation.members(1, now: .seconds(100))
        #expect(isolation.reason(makesBlocksAlone: false, now: .seconds(1_000)) == nil)
        isolation.members(0, now: .seconds(1_000))
        isolation.members(0, now: .seconds(1_030))
        #expect(isolation.reason(makesBlocksAlone: false, now: .seconds(1_059)) == nil)
        #expect(isolation.reason(makesBlocksAlone: false, now: .seconds(1_060)) != nil)
        isolation.members(1, now: .seconds(2_000))
        #expect(isolation.reason(makesBlocksAlone: false, now: .seconds(2_000)) == nil)
    }

    @Test func whoMakesBlocksAloneNeedsNobody() {
        #expect(Isolation().reason(makesBlocksAlone: true, now: .seconds(1_000)) == nil)
    }
}
