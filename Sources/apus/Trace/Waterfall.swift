import Arguments
import Log

/// Draws a timeline for a terminal: for each node a line per stage, with a bar from its beginning to its end.
struct Waterfall {
    /// The width of the bars, in columns, with an unknown terminal.
    static let standardWidth = 100
    private static let nameWidth = 18
    private static let numberWidth = 11
    private static let leastBarWidth = 20

    let timeline: Timeline
    /// The width of the bars.
    private let width: Int

    /// - Parameter columns: the width of the terminal.
    init(_ timeline: Timeline, columns: Int) {
        self.timeline = timeline
        width = max(Self.leastBarWidth, columns - Self.nameWidth - 2 * Self.numberWidth - 1)
    }

    var lines: [String] {
        var lines = timeline.title.split(separator: "\n").map { EscapedText(String($0)).description }
        lines.append(
            "\(timeline.length.milliseconds) on \(timeline.lanes.count) "
                + "\(timeline.lanes.count == 1 ? "node" : "nodes"), whose clocks agree within "
                + "\(timeline.uncertainty.milliseconds)")
        for lane in timeline.lanes {
            lines += ["", "\(EscapedText(lane.node.address))  \(EscapedText(lane.note))"]
            lines += lane.bars.map(line)
        }
        return lines
    }

    private func line(_ bar: Timeline.Bar) -> String {
        let took = bar.begin.map { "+" + (bar.end - $0).bareMilliseconds } ?? ""
        return "  \(bar.name)".padded(to: Self.nameWidth) + drawn(bar) + " "
            + (bar.end - timeline.origin).bareMilliseconds.rightAligned(in: Self.numberWidth)
            + took.rightAligned(in: Self.numberWidth)
    }

    /// The bar, at least one column wide. A stage without a beginning is a mark at its end.
    private func drawn(_ bar: Timeline.Bar) -> String {
        let end = column(bar.end, rounded: .up)
        guard let begin = bar.begin else {
            return String(repeating: " ", count: max(0, end - 1)) + "▏"
                + String(repeating: " ", count: width - max(1, end))
        }
        let first = min(column(begin, rounded: .down), width - 1)
        let last = max(first + 1, end)
        return String(repeating: " ", count: first) + String(repeating: "█", count: last - first)
            + String(repeating: " ", count: width - last)
    }

    private func column(_ time: Duration, rounded rule: FloatingPointRoundingRule) -> Int {
        guard timeline.length > .zero else { return 0 }
        let place = (time - timeline.origin) / timeline.length * Double(width)
        return min(max(Int(place.rounded(rule)), 0), width)
    }

}
