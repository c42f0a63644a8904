import Crypto
@testable import LibP2P
import Multiformats
import Reactor
import Testing
import VirtualIO

/// Identify, ping and perf between two hosts in memory, and against peers that break their rules.
@Suite struct BasicProtocolsTests {
    @ReactorActor
    private static func host(_ port: Int, _ type: KeyType = .ed25519) throws -> Host {
        var configuration = HostConfiguration(
            identity: try .generate(type), listenAddresses: [try Multiaddr("/ip4/127.0.0.1/tcp/\(port)")])
        configuration.agentVersion = "host \(port)"
        let host = Host(configuration)
        try host.start()
        return host
    }

    /// Runs `body` with a connected dialer and listener, and stops both.
    private func run(_ body: @escaping @ReactorActor @Sendable (Host, Host) async throws -> Void) throws {
        try MemoryNetwork.run(seed: 3, latency: .milliseconds(5)) {
            let (dialer, listener) = (try Self.host(6_001), try Self.host(6_002, .secp256k1))
            do {
                guard let address = listener.listenAddresses.first else { throw LibP2PError.notRunning }
                _ = try await dialer.connect(address.appending(.p2p(listener.peerID)))
                try await body(dialer, listener)
            } catch {
                await dialer.stop()
                await listener.stop()
                throw error
            }
            await dialer.stop()
            await listener.stop()
        }
    }

    @Test func pingTakesTheRoundTrip() throws {
        try run { dialer, listener in
            let stream = try await dialer.newStream(listener.peerID, [.ping])
            // The first ping carries the negotiation, which costs no round trip of its own.
            for _ in 0..<3 { #expect(try await Ping.measure(on: stream) == .milliseconds(10)) }
            stream.close()
        }
    }

    @Test func aWrongPingAnswerIsNoticed() throws {
        try run { dialer, listener in
            listener.register(.ping) { stream in
                guard var bytes = try? await stream.readExactly(Ping.size) else { return }
                bytes[31] ^= 1
                try? await stream.write(bytes)
            }
            let stream = try await dialer.newStream(listener.peerID, [.ping])
            await #expect(throws: LibP2PError.malformed("ping: the answer differs from the bytes sent")) {
                try await Ping.measure(on: stream)
            }
        }
    }

    @Test func pingEndsWithItsInitiator() throws {
        try run { dialer, listener in
            let stream = try await dialer.newStream(listener.peerID, [.ping])
            _ = try await Ping.measure(on: stream)
            stream.closeWrite()
            #expect(try await stream.read(upTo: 1) == [])
            let half = try await dialer.newStream(listener.peerID, [.ping])
            try await half.write([1, 2, 3])
            half.closeWrite()
            #expect(try await half.read(upTo: 1) == [])
        }
    }

    @ReactorActor @discardableResult
    private func receiveIdentify(_ stream: LibP2P.Stream) async throws -> IdentifyInfo {
        try Identify.decode(try await Identify.read(on: stream), of: stream.remotePublicKey)
    }

    @Test func identifyTellsWhoAndWhat() throws {
        try run { dialer, listener in
            listener.advertise("/kwil/chain/1.0.0/test")
            let stream = try await dialer.newStream(listener.peerID, [.identify])
            let info = try await receiveIdentify(stream)
            #expect(info.publicKey == stream.remotePublicKey)
            #expect(info.publicKey?.peerID == listener.peerID)
            #expect(info.agentVersion == "host 6002")
            #expect(info.protocols.contains("/kwil/chain/1.0.0/test") && info.protocols.contains(.ping))
            #expect(info.listenAddresses == listener.listenAddresses)
            #expect(info.observedAddress?.transport != nil)
        }
    }

    @Test func anotherKeyInIdentifyIsRefused() throws {
        try run { dialer, listener in
            let other = try PrivateKey.generate(.ed25519).publicKey
            listener.register(.identify) { stream in
                try? await Identify.send(IdentifyInfo(publicKey: other), on: stream)
            }
            let stream = try await dialer.newStream(listener.peerID, [.identify])
            await #expect(
                throws: LibP2PError.malformed("identify message: its key is not the peer's")
            ) {
                try await receiveIdentify(stream)
            }
        }
    }

    @Test func identifyWithoutEndIsRefused() throws {
        try run { dialer, listener in
            listener.register(.identify) { stream in
                while (try? await stream.write([UInt8](repeating: 0, count: 10_000))) != nil {}
            }
            let stream = try await dialer.newStream(listener.peerID, [.identify])
            await #expect(throws: LibP2PError.self) { try await receiveIdentify(stream) }
        }
    }

    @Test func aSilentPeerIsNotWaitedFor() throws {
        try run { dialer, listener in
            listener.register(.identify) { _ in
                try? await Reactor.sleep(for: .seconds(100))
            }
            let stream = try await dialer.newStream(listener.peerID, [.identify])
            let start = Reactor.now
            await #expect(throws: LibP2PError.timedOut) { try await receiveIdentify(stream) }
            #expect(Reactor.now - start == Identify.timeout)
        }
    }

    @Test(arguments: [(0, 0), (1, 0), (0, 1), (3_000_000, 5_000_001)] as [(UInt64, UInt64)])
    func perfCarriesWhatIsAskedFor(_ upload: UInt64, _ download: UInt64) throws {
        try run { dialer, listener in
            listener.register(Perf())
            let stream = try await dialer.newStream(listener.peerID, [.perf])
            let result = try await Perf.measure(upload: upload, download: download, on: stream)
            #expect(result.upload > .zero)
        }
    }

    @Test func perfNoticesTooFewAndTooManyBytes() throws {
        for (sent, error) in [
            (9, LibP2PError.endOfStream), (11, .malformed("perf: more bytes than requested")),
        ] {
            try run { dialer, listener in
                listener.register(.perf) { stream in
                    _ = try? await stream.readToEnd(limit: 100)
                    try? await stream.write([UInt8](repeating: 0, count: sent))
                    stream.close()
                }
                let stream = try await dialer.newStream(listener.peerID, [.perf])
                await #expect(throws: error) {
                    _ = try await Perf.measure(upload: 1, download: 10, on: stream)
                }
            }
        }
    }

    @Test func aPerfRequestCutShortIsReset() throws {
        try run { dialer, listener in
            listener.register(Perf())
            let stream = try await dialer.newStream(listener.peerID, [.perf])
            try await stream.write([0, 0, 0])
            stream.closeWrite()
            await #expect(throws: LibP2PError.streamReset) { try await stream.read(upTo: 1) }
        }
    }
}
