import Arguments
import Glibc

/// The display of a test network: on a terminal, a table and a progress bar that are redrawn; otherwise, a plain line
/// every few seconds.
final class TestnetDisplay: @unchecked Sendable {
    private let shows: Bool
    // Unchecked: only one task draws at a time, first the preparation, then `follow`, then the proof.
    private let isTerminal = isatty(STDOUT_FILENO) == 1
    private var drawnLines = 0
    private var lastLine: ContinuousClock.Instant?

    /// - Parameter shows: whether anything is shown; a program reads only the proof.
    init(shows: Bool) { self.shows = shows }

    private static let plainInterval = Duration.seconds(3)
    private static let barWidth = 40

    func note(_ text: String) {
        drawnLines = 0
        write(text + "\n")
    }

    func progress(
        _ rows: [TestnetWatch.Row], done: Int, total: Int, since start: ContinuousClock.Instant
    ) {
        let elapsed = (ContinuousClock.now - start) / .seconds(1)
        let left = done > 0 ? elapsed / Double(done) * Double(total - done) : nil
        let time = left.map { "\(DecimalText.text($0, places: 0)) s left" } ?? "waiting for the first block"
        let rate = "\(DecimalText.text(elapsed > 0 ? Double(done) / elapsed : 0, places: 0)) tx/s"
        guard isTerminal else {
            let now = ContinuousClock.now
            if let lastLine, now - lastLine < Self.plainInterval, done < total { return }
            lastLine = now
            let heights = rows.map { "\($0.node.name) \($0.status?.height ?? -1)" }.joined(separator: ", ")
            write("\(done) of \(total) committed, \(rate), \(time); heights: \(heights)\n")
            return
        }
        let share = total > 0 ? min(1, Double(done) / Double(total)) : 1
        let full = Int(share * Double(Self.barWidth))
        let bar = String(repeating: "█", count: full) + String(repeating: "░", count: Self.barWidth - full)
        let percent = DecimalText.text(share * 100, places: 0)
        let padding = String(repeating: " ", count: 4 - percent.utf8.count)
        draw(Self.table(rows) + ["\(bar)\(padding)\(percent)%  \(done) of \(total)  \(rate)  \(time)"])
    }

    private static func table(_ rows: [TestnetWatch.Row]) -> [String] {
        let widths = [14, 11, 8, 12, 12, 7, 9]
        var lines = [
            ["node", "role", "height", "block", "app hash", "peers", "mempool", "tx/s"].columns(widths)
        ]
        for row in rows {
            guard let status = row.status else {
                lines.append([row.node.name, "no answer"].columns(widths))
                continue
            }
            let cells = [
                row.node.name, status.role.rawValue, "\(status.height)",
                String(status.blockHash.description.prefix(10)),
                String(status.appHash.description.prefix(10)), "\(status.peerCount)",
                "\(status.mempoolCount)",
                DecimalText.text(row.transactionsPerSecond, places: 0),
            ]
            lines.append(cells.columns(widths))
        }
        return lines
    }

    /// Replaces the lines drawn before.
    private func draw(_ lines: [String]) {
        var out = drawnLines > 0 ? "\u{1B}[\(drawnLines)A" : ""
        for line in lines { out += "\u{1B}[2K\(line)\n" }
        drawnLines = lines.count
        write(out)
    }

    /// The final flush reports a failed write.
    private func write(_ text: String) { if shows { try? StandardOutput.write(text, atOnce: true) } }
}
