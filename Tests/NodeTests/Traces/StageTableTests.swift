import Testing

@testable import Node

/// Which stages count from where, and what the histograms record.
@Suite struct StageTableTests {
    private func table(_ places: Int = 2) -> StageTable<BlockStage> {
        StageTable(places: places, StageHistograms())
    }

    @Test func aStageCountsFromTheLatestPredecessorBeforeIt() {
        var table = table()
        table.note(.header, at: .milliseconds(10), in: 1)
        table.note(.body, at: .milliseconds(30), in: 1)
        table.note(.verified, at: .milliseconds(35), in: 1)
        // The quorum is proven while the block is executed: execution counts from its verification all the same.
        table.note(.quorum, at: .milliseconds(40), in: 1)
        table.note(.executed, at: .milliseconds(60), in: 1)
        table.note(.logged, at: .milliseconds(61), in: 1)
        let took = { table.histograms.histogram(of: $0).snapshot() }
        #expect(took(.header).count == 0)
        #expect(took(.body).sum == 20_000_000)
        #expect(took(.quorum).sum == 30_000_000)
        #expect(took(.executed).sum == 25_000_000)
        #expect(took(.logged).sum == 1_000_000)
        let stages = table.stages(in: 1)
        #expect(stages.map(\.stage) == [.header, .body, .verified, .quorum, .executed, .logged])
        #expect(stages.beginning(of: 4) == .milliseconds(35))
        #expect(stages.beginning(of: 0) == nil)
        #expect(table.stages(in: 0).isEmpty)
        #expect(table.earliest(in: 0) == nil && table.earliest(in: 1) == .milliseconds(10))
    }

    @Test func theFirstTimeOfAStageCounts() {
        var table = table()
        table.note(.proposed, at: .zero, in: 0)
        table.note(.executed, at: .milliseconds(1), in: 0)
        table.note(.executed, at: .milliseconds(9), in: 0)
        #expect(table.time(of: .executed, in: 0) == .milliseconds(1))
        #expect(table.histograms.histogram(of: .executed).snapshot().count == 1)
        table.clear(0)
        #expect(table.time(of: .executed, in: 0) == nil)
        #expect(table.stages(in: 0).isEmpty)
    }

    /// A time from a worker may be older than one from the reactor that was noted before.
    @Test func aPredecessorThatCameLaterDoesNotCount() {
        var table = table()
        table.note(.quorum, at: .milliseconds(8), in: 0)
        table.note(.executed, at: .milliseconds(3), in: 0)
        table.note(.logged, at: .milliseconds(5), in: 0)
        #expect(table.histograms.histogram(of: .logged).snapshot().sum == 2_000_000)
    }

    /// The reactor announces what a worker has accepted before it hears when that was.
    @Test func aStageThatIsNotedLateCompletesTheNext() {
        var table = StageTable<TransactionStage>(places: 1, StageHistograms())
        table.note(.announced, at: .milliseconds(9), in: 0)
        table.note(.checked, at: .milliseconds(5), in: 0)
        table.note(.submitted, at: .milliseconds(1), in: 0)
        let took = { table.histograms.histogram(of: $0).snapshot() }
        #expect(took(.announced).count == 1 && took(.announced).sum == 4_000_000)
        #expect(took(.checked).count == 1 && took(.checked).sum == 4_000_000)
        // The second predecessor of a stage does not record it again.
        table.note(.committed, at: .milliseconds(20), in: 0)
        table.note(.proposed, at: .milliseconds(10), in: 0)
        #expect(took(.committed).count == 1)
    }

    @Test func namesAreReadAsTheyAreWritten() {
        for stage in BlockStage.allCases {
            #expect(BlockStage(name: Array("\(stage.name)".utf8)) == stage)
        }
        #expect(TransactionStage(name: Array("executed".utf8)) == nil)
    }
}
