import Testing

@testable import Log

@Suite struct LogLimiterTests {
    private func event(
        _ message: StaticString, _ fields: LogFields, _ level: Log.Level = .info
    ) -> LogEvent {
        LogEvent(
            time: LogTime(seconds: 0), level: level, source: "test", message: message, fields: fields)
    }

    private let burst = LogLimiter.usual.burst

    /// Returns how many of `count` equal events pass.
    private func passed(
        _ limiter: inout LogLimiter, _ count: Int, at now: Duration, _ event: LogEvent
    ) -> Int {
        (0..<count).count { _ in limiter.admits(event, now: now) }
    }

    /// Returns the numbers of reported events by message.
    private func counts(_ reports: [LogFields]) -> [String: String] {
        var counts: [String: String] = [:]
        for report in reports {
            guard case .text(let message)? = report.entries.first?.value, let events = report.entries.last
            else { continue }
            counts[message] = "\(events.name) \(events.value)"
        }
        return counts
    }

    @Test(arguments: ["peer", "address", "query"] as [StaticString])
    func whatStrangersCauseIsLimitedAndCounted(_ name: StaticString) {
        var limiter = LogLimiter()
        let flood = event("flood", [name: .text("x")])
        #expect(passed(&limiter, burst + 500, at: .seconds(1), flood) == burst)
        #expect(limiter.reports(now: .seconds(1) + LogLimiter.reportTime - .nanoseconds(1)).isEmpty)
        #expect(passed(&limiter, 10, at: .seconds(4), flood) == 3)
        let reports = limiter.reports(now: .seconds(1) + LogLimiter.reportTime)
        #expect(counts(reports) == ["flood": "events integer(507)"])
        #expect(limiter.reports(now: .seconds(100)).isEmpty)
        // What has passed is allowed again, and no more.
        #expect(passed(&limiter, 2 * burst, at: .seconds(1_000), flood) == burst)
    }

    @Test func oneMessageLeavesTheOthersTheirAllowance() {
        var limiter = LogLimiter()
        let (flood, rare) = (event("flood", ["peer": .text("x")]), event("rare", ["peer": .text("y")]))
        #expect(passed(&limiter, burst + 7, at: .zero, flood) == burst)
        #expect(passed(&limiter, burst + 1, at: .seconds(1), rare) == burst)
        #expect(counts(limiter.reports(now: .seconds(10))) == ["flood": "events integer(7)"])
        // The end of the log reports what is not due.
        #expect(counts(limiter.reports(now: nil)) == ["rare": "events integer(1)"])
        #expect(limiter.reports(now: nil).isEmpty)
    }

    @Test func theProgramsOwnEventsPass() {
        var limiter = LogLimiter()
        let own = event("block committed", ["height": .number(7), "peers": .number(3)])
        #expect(passed(&limiter, 10_000, at: .zero, own) == 10_000)
    }

    @Test func detailsHaveALargerAllowance() {
        var limiter = LogLimiter()
        let step = event("step", ["peer": .text("x")], .debug)
        let most = LogLimiter.detailed.burst
        #expect(passed(&limiter, most + 5, at: .zero, step) == most)
        #expect(passed(&limiter, 5_000, at: .seconds(1), step) == 1_000)
    }
}
