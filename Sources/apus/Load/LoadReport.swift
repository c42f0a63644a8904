import Arguments
import JSON
import Metrics

/// The results of a load, as text with a histogram and as JSON.
enum LoadReport {
    private static let percentiles: [(name: StaticString, share: Double)] = [
        ("p50", 50), ("p90", 90), ("p99", 99), ("p99.9", 99.9),
    ]
    /// The bounds of the bars, in milliseconds.
    private static let bounds: [UInt64] = [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000, 3_600_000,
    ]
    private static let barWidth = 40

    /// Returns the lines for one measurement. The first also has the headings.
    static func text(_ result: LoadResult, isFirst: Bool) -> String {
        var lines = isFirst ? [] : [""]
        let seconds = DecimalText.text(result.duration / .seconds(1), places: 0)
        lines.append(
            "\(DecimalText.text(result.rate, places: 0)) tx/s for \(seconds) s: "
                + "\(result.committed) of \(result.total) committed, "
                + "\(DecimalText.text(result.committedPerSecond, places: 0)) tx/s, \(result.errorCount) errors"
        )
        for error in result.errors { lines.append("  \(error.count) × \(error.kind)") }
        lines.append("  latency      " + summary(result.latency))
        lines.append("  sent late by " + summary(result.delay))
        return (lines + bars(result.latency)).joined(separator: "\n")
    }

    /// Returns the line that ends a series of steps.
    static func knee(_ results: [LoadResult], _ reason: String) -> String {
        guard let last = results.dropLast().last else { return "The network cannot keep up: \(reason)." }
        let rate = DecimalText.text(last.rate, places: 0)
        return "\(rate) tx/s is the last rate at which the network keeps up: beyond it, \(reason)."
    }

    private static func summary(_ times: HistogramSnapshot) -> String {
        var parts = percentiles.map { "\($0.name) \(milliseconds(times.value(atPercentile: $0.share)))" }
        parts.append("max \(milliseconds(times.maximum)) ms")
        return parts.joined(separator: "  ")
    }

    private static func milliseconds(_ nanoseconds: UInt64) -> String {
        DecimalText.text(Double(nanoseconds) / 1e6, places: 1)
    }

    /// Returns a line for each range of latencies from the shortest to the longest.
    private static func bars(_ times: HistogramSnapshot) -> [String] {
        let counts = Self.counts(times)
        let most = counts.map(\.count).max() ?? 0
        guard most > 0 else { return [] }
        return counts.map { bound, count in
            let name = "  " + "≤ \(bound) ms".rightAligned(in: 12)
            let filled = Int((Double(count) / Double(most) * Double(barWidth)).rounded(.up))
            let bar = String(repeating: "█", count: filled).padded(to: barWidth)
            let share = DecimalText.text(Double(count) / Double(times.count) * 100, places: 1)
            return "\(name) \(bar) \(count) (\(share)%)"
        }
    }

    /// Returns the numbers of latencies in the ranges that have any, and in those between.
    private static func counts(_ times: HistogramSnapshot) -> [(bound: UInt64, count: UInt64)] {
        var (counts, last): ([(bound: UInt64, count: UInt64)], UInt64) = ([], 0)
        for bound in bounds {
            let upTo = times.count(upTo: bound * 1_000_000)
            if upTo > 0, last < times.count { counts.append((bound, upTo - last)) }
            last = upTo
        }
        return counts
    }
}

extension JSONLine {
    /// The measurements of a load. `knee` is the last rate at which the network kept up, if a later one overloaded it.
    static func load(_ command: LoadCommand, _ results: [LoadResult]) -> JSONLine {
        .object { line in
            line.member("rpc", text: command.rpc.address)
            line.member("size", integer: command.size)
            line.member("senders", integer: command.senders)
            line.array("steps", of: results) { $0.load($1) }
            line.name("knee")
            if let first = results.first, let last = results.last, results.count > 1,
                last.overload(comparedTo: first) != nil
            {
                line.number(results[results.count - 2].rate)
            } else {
                line.null()
            }
        }
    }
}

extension JSONWriter {
    fileprivate mutating func load(_ result: LoadResult) {
        object { step in
            step.member("rate", number: result.rate)
            step.member("seconds", number: result.duration / .seconds(1))
            step.member("due", integer: result.total)
            step.member("committed", integer: result.committed)
            step.member("committed_per_second", number: result.committedPerSecond)
            step.object("errors") {
                for error in result.errors {
                    $0.name(error.kind)
                    $0.integer(error.count)
                }
            }
            step.times("latency_seconds", result.latency)
            step.times("send_delay_seconds", result.delay)
            step.histogram(result.latency)
        }
    }

    private mutating func times(_ name: StaticString, _ times: HistogramSnapshot) {
        func seconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1e9 }
        object(name) {
            $0.member("min", number: seconds(times.minimum))
            $0.member("mean", number: times.count > 0 ? seconds(times.sum) / Double(times.count) : 0)
            $0.member("p50", number: seconds(times.value(atPercentile: 50)))
            $0.member("p90", number: seconds(times.value(atPercentile: 90)))
            $0.member("p99", number: seconds(times.value(atPercentile: 99)))
            $0.member("p999", number: seconds(times.value(atPercentile: 99.9)))
            $0.member("max", number: seconds(times.maximum))
        }
    }

    /// Writes each bucket that is not empty: its greatest latency, and the number of transactions in it.
    private mutating func histogram(_ times: HistogramSnapshot) {
        array("latency_histogram") { list in
            for (index, count) in times.counts.enumerated() where count > 0 {
                list.object {
                    let bound = HistogramBuckets.range(of: index).upperBound
                    $0.member("up_to_seconds", number: Double(bound) / 1e9)
                    $0.member("count", integer: count)
                }
            }
        }
    }
}
