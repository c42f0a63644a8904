import Reactor
import TestSupport
import Testing

@testable import VirtualIO

/// The virtual loop: time that jumps, runs that repeat, and an end to waiting in vain.
@Suite struct MemoryNetworkTests {
    @Test func timeJumpsToTheNextTimer() throws {
        let times = try MemoryNetwork.run { () async throws -> [Duration] in
            var times = [Reactor.now]
            try await Reactor.sleep(for: .seconds(86_400))
            times.append(Reactor.now)
            return times
        }
        #expect(times == [.zero, .seconds(86_400)])
    }

    @Test func latencyIsPaidEachWay() throws {
        let elapsed = try MemoryNetwork.run(latency: .milliseconds(40)) {
            let (near, far) = try await Server().connect()
            #expect(Reactor.now == .milliseconds(80))
            far.onReceived = { [unowned far] in far.send([UInt8]($0)) }
            let start = Reactor.now
            near.send([1])
            await near.until { near.count == 1 }
            return Reactor.now - start
        }
        #expect(elapsed == .milliseconds(80))
    }

    @Test func runsOfOneSeedRepeat() throws {
        func numbers(_ seed: UInt64) throws -> [UInt64] {
            try MemoryNetwork.run(seed: seed) { (0..<5).map { _ in Reactor.random() } }
        }
        #expect(try numbers(1) == numbers(1))
        #expect(try numbers(1) != numbers(2))
    }

    @Test func whatKeepsTimeFromPassingEnds() {
        #expect(throws: VirtualLoopError.endless) {
            try MemoryNetwork.run(seed: 0, latency: .zero, eventsPerMoment: 1_000) {
                while true { await Task.yield() }
            }
        }
    }

    @Test func waitingInVainIsAnError() throws {
        #expect(throws: VirtualLoopError.stalled) {
            try MemoryNetwork.run {
                let mailbox = Mailbox<Int>()
                _ = await mailbox.take()
            }
        }
    }

    @Test func errorsComeOut() throws {
        #expect(throws: ReactorError.invalidAddress("nowhere")) {
            try MemoryNetwork.run { _ = try SocketAddress(ip: "nowhere", port: 1) }
        }
    }

    @Test func workersRunInPlace() throws {
        let result = try MemoryNetwork.run {
            let worker = Worker(name: "worker", capacity: 1)
            let loop = EventLoop.current
            return try await worker.run { EventLoop.current === loop }
        }
        #expect(result)
    }
}
