/// Writes metrics in Prometheus's text exposition format, version 0.0.4:
/// https://prometheus.io/docs/instrumenting/exposition_formats/
struct MetricsText {
    /// The upper bounds of a histogram's buckets, in nanoseconds: from a short turn of the event loop to a long sync.
    static let bounds: [UInt64] = [
        10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000,
        50_000_000, 100_000_000, 250_000_000, 500_000_000, 1_000_000_000, 2_500_000_000, 5_000_000_000,
        10_000_000_000, 30_000_000_000,
    ]

    private(set) var bytes: [UInt8] = []

    mutating func write(_ family: MetricFamily) {
        let name = Array(family.name.utf8)
        put("# HELP ")
        bytes += name
        put(" ")
        bytes += Self.escaped(family.help, quotes: false)
        put("\n# TYPE ")
        bytes += name
        put(" \(family.kind.rawValue)\n")
        for child in family.children { write(child, of: name, family.unit) }
    }

    private mutating func write(_ child: MetricFamily.Child, of name: [UInt8], _ unit: MetricUnit) {
        switch child.source {
        case .counter(let counter): line(name, child.labels, counter.value, false, unit)
        case .gauge(let gauge): line(name, child.labels, gauge.value, unit)
        case .reading(let read): line(name, child.labels, read(), unit)
        case .histogram(let histogram): write(histogram.snapshot(), name, child.labels)
        }
    }

    private mutating func write(_ histogram: HistogramSnapshot, _ name: [UInt8], _ labels: [UInt8]) {
        let bucket = name + Array("_bucket".utf8)
        let prefix = labels.isEmpty ? [] : labels + [UInt8(ascii: ",")]
        for bound in Self.bounds {
            let le =
                prefix + Array("le=\"".utf8) + Self.decimal(bound, false, .nanoseconds) + Array("\"".utf8)
            line(bucket, le, histogram.count(upTo: bound), false, .one)
        }
        let count = histogram.count
        line(bucket, prefix + Array("le=\"+Inf\"".utf8), count, false, .one)
        line(name + Array("_sum".utf8), labels, histogram.sum, false, .nanoseconds)
        line(name + Array("_count".utf8), labels, count, false, .one)
    }

    private mutating func line(_ name: [UInt8], _ labels: [UInt8], _ value: Int64, _ unit: MetricUnit) {
        line(name, labels, value.magnitude, value < 0, unit)
    }

    private mutating func line(
        _ name: [UInt8], _ labels: [UInt8], _ value: UInt64, _ isNegative: Bool, _ unit: MetricUnit
    ) {
        bytes += name
        if !labels.isEmpty {
            put("{")
            bytes += labels
            put("}")
        }
        put(" ")
        bytes += Self.decimal(value, isNegative, unit)
        put("\n")
    }

    private mutating func put(_ text: String) { bytes += text.utf8 }

    /// Returns a count of a unit in seconds, exactly and without trailing zeros.
    static func decimal(_ value: UInt64, _ isNegative: Bool, _ unit: MetricUnit) -> [UInt8] {
        var digits = Array(String(value).utf8)
        let zero = UInt8(ascii: "0")
        if digits.count <= unit.decimals {
            digits = Array(repeating: zero, count: unit.decimals + 1 - digits.count) + digits
        }
        let whole = digits.count - unit.decimals
        while digits.count > whole, digits.last == zero { digits.removeLast() }
        if digits.count > whole { digits.insert(UInt8(ascii: "."), at: whole) }
        return (isNegative ? [UInt8(ascii: "-")] : []) + digits
    }

    static func labels(_ labels: [MetricsRegistry.Label]) -> [UInt8] {
        var text: [UInt8] = []
        for (name, value) in labels {
            if !text.isEmpty { text.append(UInt8(ascii: ",")) }
            text += name.utf8
            text += "=\"".utf8
            text += escaped(value, quotes: true)
            text.append(UInt8(ascii: "\""))
        }
        return text
    }

    private static func escaped(_ text: String, quotes: Bool) -> [UInt8] {
        var out: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\n"): out += "\\n".utf8
            case UInt8(ascii: "\\"): out += "\\\\".utf8
            case UInt8(ascii: "\"") where quotes: out += "\\\"".utf8
            default: out.append(byte)
            }
        }
        return out
    }
}
