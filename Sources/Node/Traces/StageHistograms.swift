import Metrics

/// How long each stage takes, from the latest of its predecessors to its end, and how long all take together. Any thread
/// may read.
public final class StageHistograms<Stage: TraceStage>: Sendable {
    private let stages: [Histogram]
    /// From the first stage to the commit.
    public let whole = Histogram()

    init() { stages = Stage.allCases.map { _ in Histogram() } }

    /// Returns the histogram of a stage; empty for a first stage.
    public func histogram(of stage: Stage) -> Histogram { stages[stage.rawValue] }

    @inline(__always)
    func record(_ stage: Int, nanoseconds: Int64) {
        stages[stage].record(nanoseconds: UInt64(max(0, nanoseconds)))
    }
}
