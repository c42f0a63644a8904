/// A label's closed set of values, such as the reasons for a refusal.
public protocol MetricLabel: CaseIterable, Equatable, Sendable {
    /// The value as Prometheus shows it.
    var label: String { get }
}

extension MetricLabel where Self: RawRepresentable, RawValue == String {
    /// The raw value.
    public var label: String { rawValue }
}

/// The metrics of one family, one for each value of its label. A hot path keeps the metric that it needs.
public struct MetricTable<Label: MetricLabel, Metric: Sendable>: Sendable {
    private let labels: [Label]
    private let metrics: [Metric]

    init(_ make: (Label) -> Metric) {
        labels = Array(Label.allCases)
        metrics = labels.map(make)
    }

    /// The metric of a value, found by comparing it with each.
    public subscript(label: Label) -> Metric {
        // `allCases` has every value, so the last resort is never taken.
        metrics[labels.firstIndex(of: label) ?? metrics.startIndex]
    }
}
