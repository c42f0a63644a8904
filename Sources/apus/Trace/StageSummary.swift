import API
import Arguments
import Metrics

/// A table of how long each stage took: percentiles in milliseconds.
struct StageSummary {
    private static let percentiles: [(name: String, value: Double)] = [
        ("p50", 50), ("p90", 90), ("p99", 99), ("p99.9", 99.9),
    ]
    private static let widths = [18, 10, 11, 11, 11, 11, 11]

    let title: String
    let stages: [StageHistogramsResult.Stage]

    /// The lines of the table. Stages that nothing passed are left out.
    var lines: [String] {
        let passed = stages.filter { $0.counts.count > 0 }
        guard !passed.isEmpty else { return ["\(title): none"] }
        let head = [title, "count", "mean"] + Self.percentiles.map(\.name) + ["max"]
        return [row(head)]
            + passed.map { stage in
                let counts = stage.counts
                let values = Self.percentiles.map { counts.value(atPercentile: $0.value) } + [counts.maximum]
                return row(
                    [stage.name, "\(counts.count)", text(Double(counts.sum) / Double(counts.count))]
                        + values.map { text(Double($0)) })
            }
    }

    private func row(_ cells: [String]) -> String {
        cells.enumerated().map { index, cell in
            let width = index < Self.widths.count ? Self.widths[index] : 11
            return index == 0
                ? cell.padded(to: width) : " " + cell.rightAligned(in: width - 1)
        }.joined()
    }

    private func text(_ nanoseconds: Double) -> String { DecimalText.text(nanoseconds / 1e6, places: 3) }
}

extension [StageHistogramsResult.Stage] {
    /// Adds the counts of the same stages of another node.
    mutating func merge(_ other: [StageHistogramsResult.Stage]) {
        for stage in other {
            if let index = firstIndex(where: { $0.name.utf8.elementsEqual(stage.name.utf8) }) {
                self[index].counts.merge(stage.counts)
            } else {
                append(stage)
            }
        }
    }
}
