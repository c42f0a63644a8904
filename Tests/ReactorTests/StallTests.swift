import Glibc
import Symbols
import Testing

@testable import Reactor

@Suite(.timeLimit(.minutes(2))) struct StallTests {
    @ReactorActor
    private static func hold() { usleep(8_000) }

    @ReactorActor
    private static func work() {
        let start = Reactor.now
        while Reactor.now - start < .milliseconds(20) {}
    }

    @ReactorActor
    private static func waitAndHold() async throws {
        try await Reactor.sleep(for: .milliseconds(1))
        hold()
    }

    /// Runs `body` on a loop of its own and returns the first stall that is called `name` in one of its functions. A busy
    /// machine may cause others.
    private func stall(
        _ name: String, _ body: @escaping @ReactorActor @Sendable () -> Void
    ) async throws -> Stall {
        let loop = try EventLoop.start(.epoll, name: "stalls")
        defer { loop.stop() }
        return try await loop.run { [stalls = loop.stalls] in
            body()
            while true {
                let stall = try #require(await stalls.next())
                if Self.names(stall).contains(where: { $0.hasSuffix("ReactorTests.StallTests.\(name)") }) {
                    return stall
                }
            }
        }
    }

    private static func names(_ stall: Stall) -> [String] {
        guard case .functions(let functions) = stall.callback else { return [] }
        return functions.compactMap { ProgramSymbols().name(of: $0) }
    }

    @Test func aTimerIsNamed() async throws {
        let stall = try await stall("aTimerIsNamed") { _ = Reactor.schedule(after: .zero) { Self.hold() } }
        #expect(stall.duration > LoopMetrics.slow)
    }

    @Test func theStartOfATaskIsNamed() async throws {
        let stall = try await stall("theStartOfATaskIsNamed") { Reactor.spawn { Self.hold() } }
        #expect(stall.duration > LoopMetrics.slow)
    }

    @Test func aTaskThatContinuesIsNamedWithThoseThatAwaitIt() async throws {
        let stall = try await stall("waitAndHold") { Reactor.spawn { try? await Self.waitAndHold() } }
        #expect(stall.duration > LoopMetrics.slow)
    }

    @Test func workIsToldFromWaiting() async throws {
        let waiting = try await stall("workIsToldFromWaiting") {
            _ = Reactor.schedule(after: .zero) { Self.hold() }
        }
        #expect(waiting.processorTime < .milliseconds(4))
        let working = try await stall("workIsToldFromWaiting") {
            _ = Reactor.schedule(after: .zero) { Self.work() }
        }
        #expect(working.processorTime > .milliseconds(4) || working.wasPreempted)
    }

    @Test func shortCallbacksAreNoStalls() async throws {
        let loop = try EventLoop.start(.epoll, name: "stalls")
        defer { loop.stop() }
        let count = try await loop.run { [stalls = loop.stalls] in
            for _ in 0..<100 { try await Reactor.sleep(for: .microseconds(100)) }
            return stalls.count
        }
        #expect(count < 100)
    }

    /// A loop whose stalls nobody takes keeps few.
    @Test func fewAreKept() async throws {
        let loop = try EventLoop.start(.epoll, name: "stalls")
        defer { loop.stop() }
        let count = try await loop.run { [stalls = loop.stalls] in
            for _ in 0..<30 {
                try await Reactor.sleep(for: .microseconds(1))
                usleep(6_000)
            }
            return stalls.count
        }
        #expect(count == 16)
    }
}
