import Testing

@testable import Node

@Suite struct BlockRhythmTests {
    @Test func announcementsWaitAPartOfTheTimeUntilTheNextProposal() {
        var rhythm = BlockRhythm(proposeTimeout: .seconds(1))
        #expect(rhythm.patience(at: .seconds(5)) == BlockRhythm.shortest, "no block has come")
        rhythm.committed(at: .seconds(10))
        #expect(rhythm.patience(at: .seconds(10)) == BlockRhythm.longest)
        #expect(rhythm.patience(at: .milliseconds(10_800)) == .milliseconds(25))
        #expect(rhythm.patience(at: .milliseconds(10_990)) == BlockRhythm.shortest)
        #expect(rhythm.patience(at: .seconds(60)) == BlockRhythm.shortest, "a block could come at once")
    }

    /// Rare empty blocks do not mean that a transaction has time; quick blocks mean that it has none.
    @Test func theShortestIntervalCounts() {
        var rhythm = BlockRhythm(proposeTimeout: .seconds(1))
        for second in [10, 20, 30] { rhythm.committed(at: .seconds(second)) }
        #expect(rhythm.patience(at: .seconds(32)) == BlockRhythm.shortest)
        rhythm.committed(at: .milliseconds(30_080))
        #expect(rhythm.patience(at: .milliseconds(30_080)) == .milliseconds(10))
        for second in 31...(31 + BlockRhythm.remembered) { rhythm.committed(at: .seconds(second)) }
        #expect(rhythm.patience(at: .seconds(31 + BlockRhythm.remembered)) == BlockRhythm.longest)
    }
}
