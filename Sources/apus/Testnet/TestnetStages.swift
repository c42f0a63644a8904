import API
import Arguments
import Chain

/// How long the stages of blocks took on the nodes of each role of a test network.
struct TestnetStages: Sendable {
    private static let roles: [RoleName] = [.leader, .validator, .sentry]
    private static let widths = [18, 24, 24]

    private var stages: [RoleName: [StageHistogramsResult.Stage]] = [:]

    /// Adds what a node has recorded.
    mutating func add(_ histograms: StageHistogramsResult, of role: RoleName) {
        stages[role, default: []].merge(histograms.blocks)
    }

    /// A line per stage: the median and the 99th percentile in milliseconds, by role.
    var lines: [String] {
        let names = stages[.leader, default: []].map(\.name)
        let head = ["p50 / p99 in ms"] + Self.roles.map { "\($0.rawValue)" }
        let rows = names.map { name in
            [name]
                + Self.roles.map { role in
                    let stage = stages[role]?.first { $0.name.utf8.elementsEqual(name.utf8) }
                    guard let counts = stage?.counts, counts.count > 0 else { return "" }
                    let values = [50.0, 99].map { Double(counts.value(atPercentile: $0)) / 1e6 }
                    return values.map { DecimalText.text($0, places: 2) }.joined(separator: " / ")
                }
        }
        return ([head] + rows).map { $0.columns(Self.widths) }
    }
}
