@testable import API
import Metrics
import Testing

@testable import apus

/// Histograms in the forms of HdrHistogram's tools.
@Suite struct HistogramLogTests {
    private func counts(_ milliseconds: [Int]) -> HistogramSnapshot {
        let histogram = Histogram()
        for value in milliseconds { histogram.record(.milliseconds(value)) }
        return histogram.snapshot()
    }

    /// The line of 1, 2, 2 and 1,000 ms, which the Python package hdrhistogram decodes to just these.
    @Test func theLogIsHdrHistograms() throws {
        let log = HistogramLog(
            entries: [("a b,c/executed", counts([1, 2, 2, 1_000])), ("empty", counts([]))],
            start: 1_700_000_000.5,
            length: .seconds(12))
        let lines = log.text.split(separator: "\n")
        #expect(lines.count == 4)
        #expect(lines[0] == "#[Histogram log format version 1.3]")
        #expect(lines[1] == "#[StartTime: 1700000000.500 (seconds since epoch)]")
        #expect(
            lines[3] == "Tag=a_b_c/executed,0.000,12.000,1000.000,"
                + "HISTFAAAADx4AQExAM7/HISTEwAAAAkAAAAAAAAAAgAAAAAAAAABAAADRjC4oAA/8AAAAAAAAOcbAv0BBPERAogzB10="
        )
    }

    @Test func stagesOfNodesAreMerged() {
        var stages = [StageHistogramsResult.Stage(name: "executed", counts: counts([1]))]
        stages.merge([
            StageHistogramsResult.Stage(name: "executed", counts: counts([3, 3])),
            StageHistogramsResult.Stage(name: "logged", counts: counts([])),
        ])
        let lines = StageSummary(title: "block, ms", stages: stages).lines
        #expect(lines.count == 2)
        #expect(
            lines[0].split(separator: " ") == [
                "block,", "ms", "count", "mean", "p50", "p90", "p99", "p99.9", "max",
            ])
        let cells = lines[1].split(separator: " ")
        #expect(cells[0] == "executed" && cells[1] == "3" && cells[2] == "2.333")
        #expect(cells.last == "3.000")
        #expect(StageSummary(title: "x", stages: []).lines == ["x: none"])
    }
}
