/// The unit in which a metric counts. Prometheus wants seconds, so times are written in these.
public enum MetricUnit: Sendable {
    /// Things, bytes or whole seconds.
    case one
    case milliseconds
    case microseconds
    case nanoseconds

    /// The decimal places that turn a count into seconds.
    var decimals: Int {
        switch self {
        case .one: 0
        case .milliseconds: 3
        case .microseconds: 6
        case .nanoseconds: 9
        }
    }
}

/// Metrics that share name, meaning and type, and differ in the values of their labels.
public struct MetricFamily: Sendable {
    /// A metric type of Prometheus.
    public enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    /// Where a metric's value is.
    enum Source: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
        /// Read when the metrics are written.
        case reading(@Sendable () -> Int64)
    }

    struct Child: Sendable {
        /// The labels as written, such as `role="leader",direction="inbound"`; empty without labels.
        let labels: [UInt8]
        let source: Source
    }

    /// The name, with the suffixes that Prometheus recommends.
    public let name: String
    /// The meaning, in one sentence.
    public let help: String
    /// The type.
    public let kind: Kind
    /// The names of the labels.
    public let labels: [String]
    let unit: MetricUnit
    var children: [Child] = []
}
