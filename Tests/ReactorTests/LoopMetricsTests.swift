import Metrics
import Testing

@testable import Reactor

@Suite struct LoopMetricsTests {
    private func lines(_ registry: MetricsRegistry) -> [String] {
        String(decoding: registry.text(), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    @Test func slowTurnsAreCounted() {
        let (metrics, registry) = (LoopMetrics(), MetricsRegistry())
        metrics.add(to: registry, loop: "x")
        metrics.record(.milliseconds(5))
        metrics.record(.milliseconds(6))
        metrics.record(.microseconds(20))
        let text = lines(registry)
        #expect(text.contains("apus_reactor_slow_turns_total{loop=\"x\"} 1"))
        #expect(text.contains("apus_reactor_turn_seconds_count{loop=\"x\"} 3"))
        #expect(text.contains("apus_reactor_turn_seconds_sum{loop=\"x\"} 0.01102"))
    }

    /// The time that a loop waits is not work.
    @Test(arguments: [Reactor.DriverKind.epoll, .auto])
    func aLoopRecordsItsTurnsWithoutItsWaits(_ kind: Reactor.DriverKind) async throws {
        let loop = try EventLoop.start(kind, name: "metrics")
        let registry = MetricsRegistry()
        loop.metrics.add(to: registry, loop: "x")
        let elapsed = try await loop.run {
            let start = Reactor.now
            for _ in 0..<20 { try await Reactor.sleep(for: .milliseconds(10)) }
            return Reactor.now - start
        }
        loop.stop()
        func value(_ name: String) throws -> Double {
            let line = try #require(lines(registry).first { $0.hasPrefix("\(name){") })
            return try #require(Double(line.split(separator: " ")[1]))
        }
        #expect(try value("apus_reactor_turn_seconds_count") >= 20)
        let busy = try value("apus_reactor_turn_seconds_sum")
        #expect(busy > 0 && busy < Double(elapsed.components.seconds) + 1)
    }
}
