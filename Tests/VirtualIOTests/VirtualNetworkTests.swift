import Reactor
import TestSupport
import Testing

@testable import VirtualIO

/// What a virtual network does to the connections of its hosts.
@Suite struct VirtualNetworkTests {
    private static func host(_ number: Int) throws -> SocketAddress {
        try SocketAddress(ip: "10.0.0.\(number)", port: 0)
    }

    /// A server on host 2 that echoes what comes, and a connection to it from host 1.
    @ReactorActor
    private struct Pair {
        let near: Recorder
        let network: VirtualNetwork
        let (one, two): (SocketAddress, SocketAddress)
        let far: Recorder

        init() async throws {
            network = try #require(VirtualNetwork.current)
            one = try host(1)
            two = try host(2)
            let accepted = Mailbox<Recorder>()
            _ = try TCPListener.listen(on: two.with(port: 80)) { accepted.put(Recorder($0)) }
            let tcp = try await TCPConnection.connect(to: two.with(port: 80), from: one, timeout: .seconds(5))
            near = Recorder(tcp)
            far = await accepted.take()
        }
    }

    @Test func theAcceptedSideSeesWhoDials() throws {
        try MemoryNetwork.run {
            let pair = try await Pair()
            #expect(pair.far.connection.remoteAddress.with(port: 0) == pair.one)
            #expect(pair.near.connection.remoteAddress == pair.two.with(port: 80))
        }
    }

    @Test func whatACutHoldsBackArrivesLaterAndInOrder() throws {
        try MemoryNetwork.run(latency: .milliseconds(5)) {
            let pair = try await Pair()
            pair.network.setLink(from: pair.one, to: pair.two, .init(isCut: true))
            pair.near.send([1, 2])
            pair.near.send([3])
            try await Reactor.sleep(for: .seconds(100))
            #expect(pair.far.bytes.isEmpty)
            // The other way is open.
            pair.far.send([9])
            await pair.near.until { pair.near.count == 1 }
            pair.network.setLink(from: pair.one, to: pair.two, nil)
            await pair.far.until { pair.far.count == 3 }
            #expect(pair.far.bytes == [1, 2, 3])
            #expect(Reactor.now < .seconds(102))
        }
    }

    @Test func dialsThroughACutTimeOut() throws {
        try MemoryNetwork.run {
            let network = try #require(VirtualNetwork.current)
            let (one, two) = (try Self.host(1), try Self.host(2))
            network.setLink(from: two, to: one, .init(isCut: true))
            _ = try TCPListener.listen(on: two.with(port: 80)) { $0.abort() }
            await #expect(throws: ReactorError.timedOut) {
                try await TCPConnection.connect(to: two.with(port: 80), from: one, timeout: .seconds(3))
            }
        }
    }

    @Test func bandwidthTakesItsTime() throws {
        let elapsed = try MemoryNetwork.run {
            let pair = try await Pair()
            pair.network.setLink(from: pair.one, to: pair.two, .init(bytesPerSecond: 100_000))
            let start = Reactor.now
            pair.near.send([UInt8](repeating: 7, count: 200_000))
            await pair.far.until { pair.far.count == 200_000 }
            return Reactor.now - start
        }
        #expect(elapsed >= .seconds(2) && elapsed < .seconds(3))
    }

    @Test func aSlowReaderHoldsTheSenderBack() throws {
        try MemoryNetwork.run {
            let pair = try await Pair()
            pair.network.setReadRate(pair.two, bytesPerSecond: 10_000)
            pair.near.send([UInt8](repeating: 7, count: 1_000_000))
            try await Reactor.sleep(for: .seconds(10))
            #expect(pair.far.count <= 200_000)
            #expect(pair.near.connection.queuedBytes > 500_000)
            pair.network.setReadRate(pair.two, bytesPerSecond: nil)
            await pair.far.until { pair.far.count == 1_000_000 }
        }
    }

    @Test func aSlowReaderThatBecomesFasterDoesNotSleepOn() throws {
        try MemoryNetwork.run {
            let pair = try await Pair()
            pair.network.setReadRate(pair.two, bytesPerSecond: 1)
            pair.near.send([UInt8](repeating: 7, count: 200_000))
            try await Reactor.sleep(for: .seconds(1))
            let count = pair.far.count
            #expect(count < 200_000)
            pair.network.setReadRate(pair.two, bytesPerSecond: 100_000)
            await pair.far.until { pair.far.count == 200_000 }
            #expect(Reactor.now < .seconds(5))
        }
    }

    @Test func aHostWithoutPowerSaysNothingUntilItIsBack() throws {
        try MemoryNetwork.run(latency: .milliseconds(1)) {
            let pair = try await Pair()
            pair.network.powerFail(pair.two)
            pair.near.send([1])
            try await Reactor.sleep(for: .seconds(60))
            #expect(!pair.near.isClosed)
            await #expect(throws: ReactorError.timedOut) {
                try await TCPConnection.connect(
                    to: pair.two.with(port: 80), from: pair.one, timeout: .seconds(3))
            }
            pair.network.powerOn(pair.two)
            await pair.near.until { pair.near.isClosed }
            await #expect(throws: ReactorError.connectionRefused) {
                try await TCPConnection.connect(
                    to: pair.two.with(port: 80), from: pair.one, timeout: .seconds(3))
            }
        }
    }

    @Test func killedProcessesAreToldOf() throws {
        try MemoryNetwork.run(latency: .milliseconds(1)) {
            let pair = try await Pair()
            pair.network.kill(pair.two)
            await pair.near.until { pair.near.isClosed }
            #expect(pair.network.counters.resets == 1)
        }
    }

    @Test func lossDelaysAndKeepsTheOrder() throws {
        func run(_ seed: UInt64) throws -> Duration {
            try MemoryNetwork.run(seed: seed) {
                let pair = try await Pair()
                pair.network.defaultLink = .init(
                    latency: .milliseconds(1), jitter: .milliseconds(9), lossPerMille: 300)
                for number in 0..<100 {
                    pair.near.send([UInt8(number)])
                    try await Reactor.sleep(for: .milliseconds(1))
                }
                await pair.far.until { pair.far.count == 100 }
                #expect(pair.far.bytes == (0..<100).map { UInt8($0) })
                #expect(pair.network.counters.losses > 0)
                return Reactor.now
            }
        }
        #expect(try run(1) == run(1))
        #expect(try run(1) != run(2))
    }

    @Test func aWorkersJobsTakeTheirTime() throws {
        try MemoryNetwork.run {
            let worker = Worker(name: "slow", capacity: 4) { .seconds(2) }
            try await worker.run {}
            try await worker.run {}
            #expect(Reactor.now == .seconds(4))
            let job = Reactor.spawn {
                await #expect(throws: ReactorError.closed) { try await worker.run { Issue.record("it ran") } }
            }
            try await Reactor.sleep(for: .seconds(1))
            worker.abandon()
            await job.value
        }
    }
}
