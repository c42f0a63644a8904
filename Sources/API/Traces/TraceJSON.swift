import Bytes
import JSON
import Metrics
import Node

/// The results of `apus.block_trace`, `apus.slowest_blocks`, `apus.tx_trace`, `apus.stage_histograms` and `apus.clock`. Times
/// are nanoseconds by the clock of the node's loop, which every result reads in `clock_ns`.
extension JSONWriter {
    /// Writes a member that is a time.
    private mutating func member(_ name: StaticString, nanoseconds time: Duration) {
        member(name, integer: time.nanoseconds)
    }

    /// Writes `apus.clock`.
    mutating func clock(_ now: Duration) {
        object { $0.member("clock_ns", nanoseconds: now) }
    }

    /// Writes `apus.block_trace` or `apus.slowest_blocks`.
    mutating func blockTraces(_ traces: [BlockTrace], of node: String, at now: Duration) {
        object {
            $0.member("clock_ns", nanoseconds: now)
            $0.member("peer_id", text: node)
            $0.array("traces", of: traces) { $0.blockTrace($1) }
        }
    }

    private mutating func blockTrace(_ trace: BlockTrace) {
        object {
            $0.member("height", integer: trace.height)
            $0.member("hash", hex: trace.hash)
            $0.member("role", text: trace.role.rawValue)
            $0.member("outcome", text: trace.outcome.rawValue)
            $0.member("size", integer: trace.size)
            $0.member("transactions", integer: trace.transactions)
            if let source = trace.source { $0.member("source", text: source.description) }
            $0.stages(trace.stages)
        }
    }

    /// Writes `apus.tx_trace`.
    mutating func transactionTrace(
        _ trace: TransactionTrace?, sampling: Int, of node: String, at now: Duration
    ) {
        object {
            $0.member("clock_ns", nanoseconds: now)
            $0.member("peer_id", text: node)
            // One of so many transactions is recorded now.
            $0.member("one_of", integer: sampling)
            guard let trace else { return }
            $0.object("trace") {
                $0.member("hash", hex: trace.id)
                if trace.height > 0 { $0.member("height", integer: trace.height) }
                $0.stages(trace.stages)
            }
        }
    }

    private mutating func stages<Stage>(_ stages: [StageTime<Stage>]) {
        object("stages") {
            for stage in stages { $0.member(stage.stage.name, nanoseconds: stage.time) }
        }
    }

    /// Writes `apus.stage_histograms`.
    mutating func stageHistograms(_ histograms: NodeHistograms, of node: String, at now: Duration) {
        object {
            $0.member("clock_ns", nanoseconds: now)
            $0.member("peer_id", text: node)
            $0.histograms("blocks", histograms.blocks)
            $0.histograms("transactions", histograms.transactions)
        }
    }

    private mutating func histograms<Stage>(_ name: StaticString, _ histograms: StageHistograms<Stage>) {
        object(name) {
            for stage in Stage.allCases where !stage.predecessors.isEmpty {
                $0.histogram(stage.name, histograms.histogram(of: stage).snapshot())
            }
            $0.histogram("whole", histograms.whole.snapshot())
        }
    }

    private mutating func histogram(_ name: StaticString, _ counts: HistogramSnapshot) {
        object(name) {
            $0.member("count", integer: counts.count)
            $0.member("sum_ns", integer: counts.sum)
            $0.member("min_ns", integer: counts.minimum)
            $0.member("max_ns", integer: counts.maximum)
            $0.member("clamped", integer: counts.clamped)
            // HdrHistogram's index and the count of each bucket that is not empty.
            $0.array("buckets") { list in
                for (index, count) in counts.counts.enumerated() where count > 0 {
                    list.array {
                        $0.integer(index)
                        $0.integer(count)
                    }
                }
            }
        }
    }
}
