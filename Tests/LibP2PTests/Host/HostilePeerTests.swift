import Crypto
import Multiformats
import Reactor
import Testing
import VirtualIO

@testable import LibP2P

/// Peers that take more than their share: of handshakes, connections, streams and memory. All in memory.
@Suite struct HostilePeerTests {
    private static let test: ProtocolID = "/test/1.0.0"

    /// Runs `body` with two hosts and the address of the one that listens.
    private func run(
        _ limits: ResourceLimits, gater: (any ConnectionGater)? = nil,
        _ body: @escaping @ReactorActor @Sendable (HostPair, SocketAddress) async throws -> Void
    ) throws {
        try MemoryNetwork.run(latency: .milliseconds(1)) {
            let pair = try HostPair(limits: limits) { $0.connectionGater = gater }
            let (ip, port) = (try #require(pair.address.ip), try #require(pair.address.transport?.port))
            try await body(pair, SocketAddress(ip, port: port))
            await pair.stop()
        }
    }

    /// Makes a raw connection that sends `opening`, and then nothing.
    @ReactorActor private func stall(_ address: SocketAddress, _ opening: [UInt8] = []) async throws -> Silent
    {
        let silent = Silent(try await TCPConnection.connect(to: address, timeout: .seconds(5)))
        if !opening.isEmpty { opening.withUnsafeBytes { silent.tcp.send($0) } }
        return silent
    }

    @Test func aHandshakeThatDoesNotGoOnIsCut() throws {
        try run(ResourceLimits()) { pair, address in
            let mute = try await stall(address)
            let slow = try await stall(address, MultistreamDialer([.noise]).start())
            let dripping = try await stall(address)
            // An occasional byte does not extend the time limit.
            for byte in MultistreamDialer([.noise]).start().prefix(9) {
                [byte].withUnsafeBytes { dripping.tcp.send($0) }
                try await Reactor.sleep(for: .seconds(1))
            }
            #expect(pair.listener.upgrades.count == 3)
            try await Reactor.sleep(for: .seconds(2))
            #expect(pair.listener.upgrades.isEmpty)
            #expect(pair.listener.connectionCount == 0)
            #expect(mute.isEnded && slow.isEnded && dripping.isEnded)
        }
    }

    @Test func stalledHandshakesGiveWayToHonestOnes() throws {
        var limits = ResourceLimits()
        (limits.pendingInbound, limits.pendingPerIP) = (8, 8)
        let fixed = limits
        try run(fixed) { pair, address in
            var stalled: [Silent] = []
            for _ in 0..<8 { stalled.append(try await stall(address)) }
            try await Reactor.sleep(for: .milliseconds(100))
            // Until their fair time is over, the first keep their places.
            await #expect(throws: LibP2PError.self) { try await pair.connect() }
            try await Reactor.sleep(for: .seconds(2))
            let late = try HostPair.host(limits: fixed)
            try late.start()
            // The limit on pending connections from one address holds regardless.
            await #expect(throws: LibP2PError.self) { try await late.connect(pair.address) }
            await late.stop()
        }
        limits.limitsLoopback = false
        try run(limits) { pair, address in
            for _ in 0..<8 { _ = try await stall(address) }
            try await Reactor.sleep(for: .seconds(2))
            try await pair.connect()
            try await Reactor.sleep(for: .seconds(1))
            #expect(pair.listener.connectedPeers == [pair.dialer.peerID])
        }
    }

    @Test func newConnectionsFromOneAddressAreSlowedDown() throws {
        var limits = ResourceLimits()
        (limits.connectionBurstPerIP, limits.connectionIntervalPerIP) = (4, .seconds(1))
        try run(limits) { pair, address in
            var all: [Silent] = []
            for _ in 0..<12 { all.append(try await stall(address)) }
            try await Reactor.sleep(for: .milliseconds(100))
            #expect(pair.listener.upgrades.count == 4)
            try await Reactor.sleep(for: .seconds(1))
            try await pair.connect()
            await #expect(throws: LibP2PError.self) {
                let second = try HostPair.host()
                try second.start()
                try await second.connect(pair.address)
            }
        }
    }

    /// Answers each stream of the test's protocol with a byte, and keeps it open until the list is woken.
    @ReactorActor private func serveAndHold(on host: Host) -> WaitQueue<Void, Void> {
        let hold = WaitQueue()
        host.register(Self.test) { stream in
            try? await stream.write([1])
            _ = await hold.wait()
        }
        return hold
    }

    @Test func streamsOfOnePeerAreBounded() throws {
        var limits = ResourceLimits()
        limits.streamsPerPeer = 5
        try run(limits) { pair, _ in
            let hold = serveAndHold(on: pair.listener)
            try await pair.connect()
            try await Reactor.sleep(for: .seconds(1))
            var open: [LibP2P.Stream] = []
            for _ in 0..<5 {
                open.append(try await pair.dialer.newStream(pair.listener.peerID, [Self.test]))
                #expect(try await open.last?.readExactly(1) == [1])
            }
            let sixth = try await pair.dialer.newStream(pair.listener.peerID, [Self.test])
            await #expect(throws: LibP2PError.streamReset) { _ = try await sixth.readExactly(1) }
            open.removeLast().reset()
            try await Reactor.sleep(for: .seconds(1))
            let next = try await pair.dialer.newStream(pair.listener.peerID, [Self.test])
            #expect(try await next.readExactly(1) == [1])
            hold.wakeAll()
        }
    }

    @Test func streamsThatDoNotNegotiateAreReset() throws {
        try run(ResourceLimits()) { pair, _ in
            try await pair.connect()
            try await Reactor.sleep(for: .seconds(1))
            let connection = try #require(pair.dialer.peers[pair.listener.peerID]?.primary)
            var streams: [LibP2P.Stream] = []
            for _ in 0..<50 {
                let stream = try await connection.openStream()
                try await stream.write([19])
                streams.append(stream)
            }
            let served = try #require(pair.listener.peers[pair.dialer.peerID]?.primary)
            try await Reactor.sleep(for: .seconds(1))
            #expect(served.mux.inboundCount == 50)
            try await Reactor.sleep(for: .seconds(10))
            #expect(served.mux.inboundCount == 0)
            #expect(try await pair.dialer.ping(pair.listener.peerID) > .zero)
        }
    }

    @Test func unreadBytesOfOnePeerAreBounded() throws {
        var limits = ResourceLimits()
        limits.bytesPerPeer = 300 << 10
        let fixed = limits
        try run(fixed) { pair, _ in
            let hold = WaitQueue()
            pair.listener.register(Self.test) { _ in _ = await hold.wait() }
            try await pair.connect()
            var streams: [LibP2P.Stream] = []
            for _ in 0..<4 {
                let stream = try await pair.dialer.newStream(pair.listener.peerID, [Self.test])
                streams.append(stream)
                Reactor.spawn { try? await stream.write([UInt8](repeating: 1, count: 200 << 10)) }
            }
            try await Reactor.sleep(for: .seconds(1))
            let state = try #require(pair.listener.peers[pair.dialer.peerID])
            #expect(state.held > 0 && state.held <= fixed.bytesPerPeer)
            #expect(pair.listener.held == state.held)
            #expect(try await pair.dialer.ping(pair.listener.peerID) > .zero)
            hold.wakeAll()
            try await Reactor.sleep(for: .seconds(1))
            #expect(pair.listener.held == 0)
        }
    }

    @Test func thePeerWithTheMostUnreadBytesGoes() throws {
        var limits = ResourceLimits()
        limits.bytes = 400 << 10
        let fixed = limits
        try run(fixed) { pair, _ in
            let hold = WaitQueue()
            var reports: [String] = []
            pair.listener.register(Self.test) { _ in _ = await hold.wait() }
            pair.listener.observe {
                if case .misbehaved(let peer, let what) = $0 { reports.append("\(peer) \(what)") }
            }
            let greedy = try HostPair.host(limits: fixed)
            try greedy.start()
            try await greedy.connect(pair.address)
            try await pair.connect()
            let own = try await pair.dialer.newStream(pair.listener.peerID, [Self.test])
            try await own.write([UInt8](repeating: 1, count: 100 << 10))
            for _ in 0..<2 {
                let stream = try await greedy.newStream(pair.listener.peerID, [Self.test])
                Reactor.spawn { try? await stream.write([UInt8](repeating: 1, count: 200 << 10)) }
            }
            try await Reactor.sleep(for: .seconds(1))
            #expect(pair.listener.connectedPeers == [pair.dialer.peerID])
            #expect(reports == ["\(greedy.peerID) flooding"])
            #expect(pair.listener.held == 100 << 10)
            hold.wakeAll()
            await greedy.stop()
        }
    }

    /// A stranger that has sent much unasked is disconnected before a trusted peer for which more is held.
    /// Admits all and trusts one.
    @ReactorActor
    private final class Gate: ConnectionGater {
        var trusted: PeerID?

        nonisolated init() {}

        func admits(_ candidate: ConnectionCandidate) -> Bool { true }
        func isTrusted(_ peer: PeerID) -> Bool { peer == trusted }
    }

    @Test func strangersGoBeforeTrustedPeers() throws {
        var limits = ResourceLimits()
        limits.bytes = 900 << 10
        let fixed = limits
        let gate = Gate()
        try run(fixed, gater: gate) { pair, _ in
            let hold = serveAndHold(on: pair.listener)
            let stranger = try HostPair.host(limits: fixed)
            try stranger.start()
            try await stranger.connect(pair.address)
            try await pair.connect()
            let trusted = pair.dialer.peerID
            gate.trusted = trusted
            for (host, count) in [(stranger, 2), (pair.dialer, 3)] {
                for _ in 0..<count {
                    let stream = try await host.newStream(pair.listener.peerID, [Self.test])
                    Reactor.spawn { try? await stream.write([UInt8](repeating: 1, count: 200 << 10)) }
                }
                try await Reactor.sleep(for: .seconds(1))
            }
            #expect(pair.listener.connectedPeers == [trusted])
            #expect(pair.listener.held == 600 << 10)
            hold.wakeAll()
            await stranger.stop()
        }
    }

    /// The body of a frame arrives in two messages of one read; the connection ends with the first.
    @Test func aConnectionThatEndsWithinAFrameTakesNoMoreOfIt() throws {
        var limits = ResourceLimits()
        limits.bytes = 20_000
        try run(limits) { pair, _ in
            let hold = serveAndHold(on: pair.listener)
            try await pair.connect()
            let stream = try await pair.dialer.newStream(pair.listener.peerID, [Self.test])
            _ = try await stream.readExactly(1)
            try await Reactor.sleep(for: .seconds(1))
            let connection = stream.connection
            let noise = try #require(connection.noise)
            var first = [UInt8](repeating: 1, count: YamuxHeader.size + 30_000)
            let header = connection.mux.dataHeader(try #require(stream.slot), count: 60_000)
            first.withUnsafeMutableBytes { header.write(to: $0) }
            for message in [first, [UInt8](repeating: 1, count: 30_000)] {
                let room = connection.tcp.reserve(message.count + NoiseTransport.overhead)
                connection.tcp.commit(try message.withUnsafeBytes { try noise.seal($0, into: room) })
            }
            try await Reactor.sleep(for: .seconds(1))
            #expect(pair.listener.connectedPeers == [])
            hold.wakeAll()
        }
    }

    @Test func brokenFramesAreReported() throws {
        try run(ResourceLimits()) { pair, _ in
            var reports: [Misbehaviour] = []
            pair.listener.observe { if case .misbehaved(_, let what) = $0 { reports.append(what) } }
            try await pair.connect()
            let connection = try #require(pair.dialer.peers[pair.listener.peerID]?.primary)
            connection.mux.put(YamuxHeader(.data, flags: [], streamID: 99, length: 5))
            connection.flushControl()
            try await Reactor.sleep(for: .seconds(1))
            #expect(reports == [.malformed])
            #expect(pair.listener.connectedPeers.isEmpty)
        }
    }
}

/// A raw connection that sends nothing by itself.
private final class Silent: TCPConnectionDelegate {
    let tcp: TCPConnection
    private(set) var isEnded = false

    init(_ tcp: TCPConnection) {
        self.tcp = tcp
        super.init()
        tcp.delegate = self
    }

    override func received(_ bytes: UnsafeMutableRawBufferPointer) {}
    override func peerClosedWrite() { isEnded = true }
    override func closed(_ error: ReactorError?) { isEnded = true }
}
