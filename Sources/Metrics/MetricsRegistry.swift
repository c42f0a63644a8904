import Synchronization

/// The metrics of one node, by family. Components ask it for their metrics when they are made, and keep them; it writes all of
/// them in Prometheus's text format. Callable from any thread.
///
/// Asking again for the same name and labels returns the same metric, so that a family may be shared.
public final class MetricsRegistry: Sendable {
    /// A label's name and value.
    public typealias Label = (name: String, value: String)

    private let families = Mutex<[MetricFamily]>([])

    /// Creates a registry without metrics.
    public init() {}

    /// The families, ordered by name.
    public var all: [MetricFamily] { families.withLock { $0 }.sorted { $0.name < $1.name } }

    // MARK: One metric

    /// Returns a counter. Its name ends in `_total`.
    public func counter(
        _ name: String, _ help: String, unit: MetricUnit = .one, _ labels: Label...
    ) -> Counter {
        counter(name, help, unit: unit, labels: labels)
    }

    private func counter(_ name: String, _ help: String, unit: MetricUnit, labels: [Label]) -> Counter {
        let source = add(name, help, .counter, unit, labels) { .counter(Counter()) }
        guard case .counter(let counter) = source else { preconditionFailure("\(name) is no counter") }
        return counter
    }

    /// Returns a gauge.
    public func gauge(_ name: String, _ help: String, unit: MetricUnit = .one, _ labels: Label...) -> Gauge {
        gauge(name, help, unit: unit, labels: labels)
    }

    private func gauge(_ name: String, _ help: String, unit: MetricUnit, labels: [Label]) -> Gauge {
        let source = add(name, help, .gauge, unit, labels) { .gauge(Gauge()) }
        guard case .gauge(let gauge) = source else { preconditionFailure("\(name) is no gauge") }
        return gauge
    }

    /// Returns a histogram. Its name ends in `_seconds`.
    public func histogram(_ name: String, _ help: String, _ labels: Label...) -> Histogram {
        histogram(name, help, labels: labels)
    }

    private func histogram(_ name: String, _ help: String, labels: [Label]) -> Histogram {
        let source = add(name, help, .histogram, .nanoseconds, labels) { .histogram(Histogram()) }
        guard case .histogram(let histogram) = source else {
            preconditionFailure("\(name) is no histogram")
        }
        return histogram
    }

    /// Adds a counter or gauge whose value `read` returns whenever the metrics are written, on the thread that writes them.
    public func reading(
        _ kind: MetricFamily.Kind, _ name: String, _ help: String, unit: MetricUnit = .one,
        _ labels: Label...,
        read: @escaping @Sendable () -> Int64
    ) {
        _ = add(name, help, kind, unit, labels) { .reading(read) }
    }

    /// Adds a counter that exists already.
    public func add(_ counter: Counter, _ name: String, _ help: String, _ labels: Label...) {
        _ = add(name, help, .counter, .one, labels) { .counter(counter) }
    }

    /// Adds a gauge that exists already.
    public func add(_ gauge: Gauge, _ name: String, _ help: String, _ labels: Label...) {
        _ = add(name, help, .gauge, .one, labels) { .gauge(gauge) }
    }

    /// Adds a histogram that exists already.
    public func add(_ histogram: Histogram, _ name: String, _ help: String, _ labels: Label...) {
        _ = add(name, help, .histogram, .nanoseconds, labels) { .histogram(histogram) }
    }

    // MARK: One for each value of a label

    /// Returns a counter for each value of a label.
    public func counters<Value: MetricLabel>(
        _ name: String, _ help: String, by label: String, unit: MetricUnit = .one
    ) -> MetricTable<Value, Counter> {
        MetricTable { counter(name, help, unit: unit, labels: [(label, $0.label)]) }
    }

    /// Returns a counter for each pair of values of two labels.
    public func counters<First: MetricLabel, Second: MetricLabel>(
        _ name: String, _ help: String, by first: String, _ second: String
    ) -> MetricTable<First, MetricTable<Second, Counter>> {
        MetricTable { one in
            MetricTable { other in
                counter(name, help, unit: .one, labels: [(first, one.label), (second, other.label)])
            }
        }
    }

    /// Returns a gauge for each value of a label.
    public func gauges<Value: MetricLabel>(
        _ name: String, _ help: String, by label: String, unit: MetricUnit = .one
    ) -> MetricTable<Value, Gauge> {
        MetricTable { gauge(name, help, unit: unit, labels: [(label, $0.label)]) }
    }

    /// Returns a gauge for each pair of values of two labels.
    public func gauges<First: MetricLabel, Second: MetricLabel>(
        _ name: String, _ help: String, by first: String, _ second: String
    ) -> MetricTable<First, MetricTable<Second, Gauge>> {
        MetricTable { one in
            MetricTable { other in
                gauge(name, help, unit: .one, labels: [(first, one.label), (second, other.label)])
            }
        }
    }

    /// Returns a histogram for each value of a label.
    public func histograms<Value: MetricLabel>(
        _ name: String, _ help: String, by label: String
    ) -> MetricTable<Value, Histogram> {
        MetricTable { histogram(name, help, labels: [(label, $0.label)]) }
    }

    // MARK: Families

    private func add(
        _ name: String, _ help: String, _ kind: MetricFamily.Kind, _ unit: MetricUnit, _ labels: [Label],
        _ make: () -> MetricFamily.Source
    ) -> MetricFamily.Source {
        let text = MetricsText.labels(labels)
        return families.withLock { families in
            let place = families.firstIndex { $0.name == name } ?? families.count
            if place == families.count {
                families.append(
                    MetricFamily(name: name, help: help, kind: kind, labels: labels.map(\.name), unit: unit))
            }
            precondition(families[place].kind == kind, "\(name) has two types")
            if let known = families[place].children.first(where: { $0.labels == text }) {
                return known.source
            }
            let source = make()
            families[place].children.append(MetricFamily.Child(labels: text, source: source))
            return source
        }
    }

    /// Returns all metrics in Prometheus's text format, version 0.0.4.
    public func text() -> [UInt8] {
        var text = MetricsText()
        for family in all { text.write(family) }
        return text.bytes
    }
}
