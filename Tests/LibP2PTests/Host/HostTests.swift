import Bytes
import Crypto
import Multiformats
import Reactor
import Testing
import VirtualIO

@testable import LibP2P

@Suite(.serialized, .timeLimit(.minutes(2))) struct HostTests {
    static let echo: ProtocolID = "/test/echo/1.0.0"

    /// Echoes bytes until the peer ends its side.
    @ReactorActor static func serveEcho(_ stream: LibP2P.Stream) async {
        let buffer = ByteBuffer(count: 64 << 10)
        do {
            while true {
                let count = try await stream.read(into: buffer.bytes)
                guard count > 0 else { return stream.closeWrite() }
                try await stream.write([UInt8](buffer.bytes[..<count]))
            }
        } catch {
            stream.reset()
        }
    }

    @ReactorActor static func exchange(_ stream: LibP2P.Stream, _ bytes: [UInt8]) async throws -> [UInt8] {
        let writer = Reactor.spawn {
            try? await stream.write(bytes)
            stream.closeWrite()
        }
        let answer = try await stream.readToEnd(limit: bytes.count)
        await writer.value
        stream.close()
        return answer
    }

    @Test(arguments: [[ProtocolID.noise], [.plaintext], [.noiseChainID], [.noise, .plaintext]])
    func connectsIdentifiesAndPings(security: [ProtocolID]) async throws {
        try await Reactor.run {
            let pair = try HostPair(security: security) { $0.chainID = "chain" }
            var events: [String] = []
            let identified = WaitQueue()
            pair.dialer.observe { event in
                switch event {
                case .connected(_, let direction): events.append("connected \(direction)")
                case .identified:
                    events.append("identified")
                    identified.wakeAll()
                case .disconnected: events.append("disconnected")
                case .misbehaved: events.append("misbehaved")
                }
            }
            pair.listener.advertise("/kwil/chain/1.0.0/x")
            try await pair.connect()
            #expect(pair.dialer.connectedPeers == [pair.listener.peerID])
            while pair.dialer.identity(of: pair.listener.peerID) == nil { _ = await identified.wait() }
            let info = try #require(pair.dialer.identity(of: pair.listener.peerID))
            #expect(info.protocols.contains("/kwil/chain/1.0.0/x"))
            #expect(info.protocols.contains(.ping))
            #expect(info.listenAddresses == pair.listener.listenAddresses)
            #expect(try await pair.dialer.ping(pair.listener.peerID) > .zero)
            #expect(try await pair.listener.ping(pair.dialer.peerID) > .zero)
            pair.dialer.disconnect(pair.listener.peerID)
            #expect(events == ["connected outbound", "identified", "disconnected"])
            await pair.stop()
        }
    }

    @Test func carriesSixteenMebibytesEachWay() async throws {
        for security in [[ProtocolID.noise], [.plaintext]] {
            try await HostPair.run(security: security) { pair in
                pair.listener.register(Self.echo, Self.serveEcho)
                try await pair.connect()
                let stream = try await pair.dialer.newStream(pair.listener.peerID, [Self.echo])
                let bytes = pattern(16 << 20)
                #expect(try await Self.exchange(stream, bytes) == bytes)
            }
        }
    }

    /// Of 32 MiB, at most a twentieth is copied outside the ciphers. In a process of its own, because the count is the
    /// process's.
    @Test func bulkBytesAreNotCopied() async throws {
        await #expect(processExitsWith: .success) {
            try await HostPair.run { pair in
                let content = SharedBytes(pattern(32 << 20))
                pair.listener.register(HostTests.echo) { stream in
                    try? await stream.write(content)
                    stream.closeWrite()
                }
                try await pair.connect()
                let stream = try await pair.dialer.newStream(pair.listener.peerID, [HostTests.echo])
                stream.closeWrite()
                let before = PathMeter.counts.copied
                let bytes = try await stream.readSharedToEnd(limit: content.count)
                let copied = PathMeter.counts.copied - before
                #expect(bytes == content)
                #expect(copied <= content.count / 20, "\(copied) of \(content.count) bytes are copied")
            }
        }
    }

    /// A reader that leaves in the middle of a message takes none of its bytes along.
    @Test func aCancelledReadLosesNothing() throws {
        try MemoryNetwork.run(latency: .milliseconds(1)) {
            let pair = try HostPair()
            VirtualNetwork.current?.defaultLink.bytesPerSecond = 1 << 20
            let bytes = pattern(1_000_000)
            pair.listener.register(Self.echo) { stream in
                try? await stream.write(bytes)
                stream.closeWrite()
            }
            try await pair.connect()
            let stream = try await pair.dialer.newStream(pair.listener.peerID, [Self.echo])
            stream.closeWrite()
            var received: [UInt8] = []
            while received.count < bytes.count {
                let read = Reactor.spawn {
                    let buffer = ByteBuffer(count: bytes.count)
                    let count = (try? await stream.read(into: buffer.bytes)) ?? 0
                    received += buffer.bytes[..<count]
                }
                try await Reactor.sleep(for: .milliseconds(17))
                read.cancel()
                await read.value
            }
            #expect(received == bytes)
            await pair.stop()
        }
    }

    @Test func carriesFiveHundredStreamsAtOnce() async throws {
        try await HostPair.run { pair in
            pair.listener.register(Self.echo, Self.serveEcho)
            try await pair.connect()
            var right = 0
            let tasks = (0..<500).map { number in
                Reactor.spawn {
                    let bytes = pattern(1000 + number * 37, seed: UInt64(number) + 1)
                    guard let stream = try? await pair.dialer.newStream(pair.listener.peerID, [Self.echo]),
                        let answer = try? await Self.exchange(stream, bytes)
                    else { return }
                    if answer == bytes { right += 1 }
                }
            }
            for task in tasks { await task.value }
            #expect(right == 500)
        }
    }

    @Test func declinedProtocolFailsTheRead() async throws {
        try await HostPair.run { pair in
            try await pair.connect()
            let stream = try await pair.dialer.newStream(pair.listener.peerID, ["/none"])
            await #expect(throws: LibP2PError.protocolNotSupported(["/none"])) {
                try await stream.write([1])
                _ = try await stream.read(upTo: 1)
            }
            await #expect(throws: LibP2PError.protocolNotSupported(["/none", "/neither"])) {
                _ = try await pair.dialer.newStream(pair.listener.peerID, ["/none", "/neither"])
            }
        }
    }
}
