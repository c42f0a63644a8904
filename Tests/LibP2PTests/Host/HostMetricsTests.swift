import Crypto
import Metrics
import Multiformats
import Reactor
import Testing

@testable import LibP2P

@Suite(.serialized, .timeLimit(.minutes(1))) struct HostMetricsTests {
    /// Returns the samples of a registry by name and labels.
    private func samples(_ registry: MetricsRegistry) -> [String: Int] {
        var samples: [String: Int] = [:]
        for line in String(decoding: registry.text(), as: UTF8.self).split(separator: "\n")
        where !line.hasPrefix("#") {
            guard let space = line.lastIndex(of: " ") else { continue }
            samples[String(line[..<space])] = Int(line[line.index(after: space)...])
        }
        return samples
    }

    @Test func streamsAndBytesAreCountedByProtocol() async throws {
        let (one, other) = (MetricsRegistry(), MetricsRegistry())
        try await Reactor.run {
            let listener = try HostPair.host { $0.metrics = HostMetrics(other) }
            let dialer = try HostPair.host { $0.metrics = HostMetrics(one) }
            listener.register(HostTests.echo, HostTests.serveEcho)
            listener.register("/test/failing") { stream in
                _ = try await stream.readExactly(1)
                throw LibP2PError.malformed("test")
            }
            try dialer.start()
            try listener.start()
            let address = try #require(listener.listenAddresses.first).appending(.p2p(listener.peerID))
            try await dialer.connect(address)
            let bytes = pattern(1 << 20)
            let stream = try await dialer.newStream(listener.peerID, [HostTests.echo])
            #expect(try await HostTests.exchange(stream, bytes) == bytes)
            let failing = try await dialer.newStream(listener.peerID, ["/test/failing"])
            try await failing.write([1])
            await #expect(throws: LibP2PError.self) { _ = try await failing.readExactly(1) }
            await dialer.stop()
            await listener.stop()
        }
        let (mine, theirs) = (samples(one), samples(other))
        let echo = #"{protocol="/test/echo/1.0.0",class="other"}"#
        #expect(mine["apus_handshakes_total{direction=\"outbound\"}"] == 1)
        #expect(theirs["apus_handshakes_total{direction=\"inbound\"}"] == 1)
        #expect(mine["apus_dials_total{outcome=\"succeeded\"}"] == 1)
        #expect(mine["apus_streams_opened_total\(echo)"] == 1)
        #expect(theirs["apus_streams_served_total\(echo)"] == 1)
        #expect(theirs["apus_streams_failed_total\(echo)"] == 0)
        // The names of protocols that both sides send first take less than 100 bytes.
        let content = (1 << 20)...((1 << 20) + 100)
        for name in ["apus_stream_sent_bytes_total", "apus_stream_received_bytes_total"] {
            #expect(content.contains(mine[name + echo] ?? 0), "\(name): \(mine[name + echo] ?? 0)")
            #expect(content.contains(theirs[name + echo] ?? 0), "\(name): \(theirs[name + echo] ?? 0)")
        }
        #expect(theirs[#"apus_streams_failed_total{protocol="/test/failing",class="other"}"#] == 1)
        #expect(theirs["apus_penalties_total{reason=\"malformed\"}"] == 1)
        #expect(mine["apus_penalties_total{reason=\"malformed\"}"] == 0)
    }

    @Test(
        arguments: [
            (.limitReached("x"), .limit), (.refused, .refused), (.timedOut, .timeout),
            (.handshakeInterrupted, .network), (.network("x"), .network), (.malformed("x"), .malformed),
            (.decryptionFailed, .malformed), (.badSignature, .identity), (.dialedSelf, .identity),
            (.wrongChain, .incompatible), (.protocolNotSupported([]), .incompatible),
            (.cancelled, .cancelled),
        ] as [(LibP2PError, HandshakeFailure)])
    func errorsOfHandshakesHaveReasons(_ error: LibP2PError, _ reason: HandshakeFailure) {
        #expect(HandshakeFailure(error) == reason)
    }

    @Test func failedHandshakesAreCountedByReason() async throws {
        let (one, other) = (MetricsRegistry(), MetricsRegistry())
        try await Reactor.run {
            let listener = try HostPair.host { $0.metrics = HostMetrics(other) }
            let dialer = try HostPair.host(security: [.plaintext]) { $0.metrics = HostMetrics(one) }
            try dialer.start()
            try listener.start()
            let address = try #require(listener.listenAddresses.first).appending(.p2p(listener.peerID))
            await #expect(throws: LibP2PError.self) { try await dialer.connect(address) }
            let stranger = try PrivateKey.generate(.ed25519).publicKey.peerID
            let noise = try HostPair.host { $0.metrics = HostMetrics(one) }
            try noise.start()
            let wrong = try #require(listener.listenAddresses.first).appending(.p2p(stranger))
            await #expect(throws: LibP2PError.self) { try await noise.connect(wrong) }
            for host in [dialer, noise, listener] { await host.stop() }
        }
        let (mine, theirs) = (samples(one), samples(other))
        let failures = { (samples: [String: Int]) in
            samples.filter { $0.key.hasPrefix("apus_handshakes_failed_total{") }.values.reduce(0, +)
        }
        #expect(mine["apus_handshakes_failed_total{reason=\"identity\"}"] == 1)
        #expect(failures(mine) == 2)
        #expect(mine["apus_dials_total{outcome=\"failed\"}"] == 2)
        #expect(failures(theirs) == 2)
        #expect(theirs["apus_handshakes_total{direction=\"inbound\"}"] == 0)
    }
}
