import Bytes

/// Durations in Go's format, as configuration and genesis files use it: `500ms`, `20s`, `1m0s`, `168h0m0s`.
/// Whole numbers only, never negative.
public enum DurationText {
    /// The units, largest first.
    private static let units: [(suffix: String, nanoseconds: Int64)] = [
        ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000),
        ("us", 1_000), ("µs", 1_000), ("ns", 1),
    ]

    /// Parses a duration of at most 292 years. Returns nil for any other text.
    public static func parse(_ text: String) -> Duration? { nanoseconds(text).map { .nanoseconds($0) } }

    /// Parses a duration of at most 292 years. Returns nil for any other text.
    public static func nanoseconds(_ text: String) -> Int64? {
        guard !text.isEmpty else { return nil }
        if text == "0" { return 0 }
        var rest = Substring(text)
        var total: Int64 = 0
        while !rest.isEmpty {
            let digits = rest.prefix { ("0"..."9").contains($0) }
            rest = rest.dropFirst(digits.count)
            let suffix = rest.prefix { !("0"..."9").contains($0) }
            rest = rest.dropFirst(suffix.count)
            guard let value = Int64(digits), let unit = units.first(where: { $0.suffix == suffix })
            else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: unit.nanoseconds)
            let (sum, carry) = total.addingReportingOverflow(product)
            guard !overflow, !carry else { return nil }
            total = sum
        }
        return total
    }

    /// Formats a duration in the largest unit that divides it.
    public static func format(nanoseconds: Int64) -> String {
        if nanoseconds == 0 { return "0s" }
        let unit = units.first { nanoseconds.isMultiple(of: $0.nanoseconds) }
        return unit.map { "\(nanoseconds / $0.nanoseconds)\($0.suffix)" } ?? "\(nanoseconds)ns"
    }

    /// Formats a duration in the largest unit that divides it, dropping fractions of a nanosecond.
    public static func format(_ duration: Duration) -> String {
        let nanoseconds = duration.nanoseconds
        return nanoseconds == .max || nanoseconds == .min
            ? "\(duration.components.seconds)s" : format(nanoseconds: nanoseconds)
    }
}
