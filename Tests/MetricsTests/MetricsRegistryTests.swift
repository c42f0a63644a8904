import Glibc
import Testing

@testable import Metrics

struct MetricsRegistryTests {
    private enum Fruit: String, MetricLabel {
        case apple, pear
    }

    private func lines(_ registry: MetricsRegistry) -> [String] {
        String(decoding: registry.text(), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    @Test func countersAndGaugesAreWrittenByName() {
        let registry = MetricsRegistry()
        registry.gauge("b_depth", "Depth.").set(-3)
        registry.counter("a_total", "All.").add(7)
        registry.reading(.gauge, "c_bytes", "Size.") { 12 }
        #expect(
            lines(registry) == [
                "# HELP a_total All.", "# TYPE a_total counter", "a_total 7",
                "# HELP b_depth Depth.", "# TYPE b_depth gauge", "b_depth -3",
                "# HELP c_bytes Size.", "# TYPE c_bytes gauge", "c_bytes 12",
            ])
    }

    @Test func eachValueOfALabelHasItsMetric() {
        let registry = MetricsRegistry()
        let fruits: MetricTable<Fruit, Counter> = registry.counters("fruits_total", "Fruits.", by: "kind")
        fruits[.pear].add(2)
        #expect(
            lines(registry).suffix(2) == ["fruits_total{kind=\"apple\"} 0", "fruits_total{kind=\"pear\"} 2"])
    }

    @Test func theSameNameAndLabelsAreTheSameMetric() {
        let registry = MetricsRegistry()
        registry.counter("x_total", "X.", ("a", "1")).add()
        registry.counter("x_total", "X.", ("a", "1")).add()
        registry.counter("x_total", "X.", ("a", "2")).add()
        #expect(lines(registry).suffix(2) == ["x_total{a=\"1\"} 2", "x_total{a=\"2\"} 1"])
        #expect(registry.all.count == 1)
    }

    @Test func labelsAndHelpAreEscaped() {
        let registry = MetricsRegistry()
        _ = registry.gauge("x", "A \"b\" \\ c\nd.", ("l", "a\"b\\c\nd"), ("m", "é"))
        #expect(
            lines(registry) == [
                "# HELP x A \"b\" \\\\ c\\nd.", "# TYPE x gauge", "x{l=\"a\\\"b\\\\c\\nd\",m=\"é\"} 0",
            ])
    }

    @Test(
        arguments: [
            (0, .nanoseconds, "0"), (1, .nanoseconds, "0.000000001"), (1_500_000_000, .nanoseconds, "1.5"),
            (10_000, .nanoseconds, "0.00001"), (30_000_000_000, .nanoseconds, "30"),
            (UInt64.max, .one, "18446744073709551615"), (1200, .milliseconds, "1.2"),
            (999_999, .microseconds, "0.999999"),
        ] as [(UInt64, MetricUnit, String)])
    func timesAreWrittenInSeconds(_ value: UInt64, _ unit: MetricUnit, _ text: String) {
        #expect(String(decoding: MetricsText.decimal(value, false, unit), as: UTF8.self) == text)
    }

    @Test func bucketsOfAHistogramAreCumulative() {
        let registry = MetricsRegistry()
        let histogram = registry.histogram("wait_seconds", "Waits.", ("stage", "x"))
        histogram.record(.microseconds(40))
        histogram.record(.milliseconds(3))
        histogram.record(.seconds(3600))
        let text = lines(registry)
        #expect(text[1] == "# TYPE wait_seconds histogram")
        #expect(text.count == 2 + MetricsText.bounds.count + 3)
        #expect(text.contains("wait_seconds_bucket{stage=\"x\",le=\"0.00001\"} 0"))
        #expect(text.contains("wait_seconds_bucket{stage=\"x\",le=\"0.00005\"} 1"))
        #expect(text.contains("wait_seconds_bucket{stage=\"x\",le=\"0.0025\"} 1"))
        #expect(text.contains("wait_seconds_bucket{stage=\"x\",le=\"0.005\"} 2"))
        #expect(text.contains("wait_seconds_bucket{stage=\"x\",le=\"30\"} 2"))
        #expect(
            text.suffix(3) == [
                "wait_seconds_bucket{stage=\"x\",le=\"+Inf\"} 3", "wait_seconds_sum{stage=\"x\"} 3600.00304",
                "wait_seconds_count{stage=\"x\"} 3",
            ])
    }

    @Test func theProcessIsDescribed() throws {
        let registry = MetricsRegistry()
        ProcessMetrics.add(to: registry)
        func value(_ name: String) throws -> Double {
            let line = try #require(lines(registry).first { $0.hasPrefix("\(name) ") })
            return try #require(Double(line.split(separator: " ")[1]))
        }
        let pages = try value("process_resident_memory_bytes")
        #expect(pages > 1_000_000)
        #expect(try value("process_virtual_memory_bytes") >= pages)
        #expect(try value("process_cpu_seconds_total") > 0)
        let age = Double(time(nil)) - (try value("process_start_time_seconds"))
        #expect(age > -2 && age < 86_400)
        #expect(try value("process_open_fds") >= 3)
        #expect(try value("process_max_fds") >= 3)
    }
}
