import Crypto
import Multiformats
import Reactor
import Testing

@testable import LibP2P

@Suite(.serialized, .timeLimit(.minutes(2))) struct HostFailureTests {
    private static let test: ProtocolID = "/test/1.0.0"

    @Test func halfCloseLeavesTheOtherDirectionOpen() async throws {
        try await HostPair.run { pair in
            pair.listener.register(Self.test) { stream in
                let question = try? await stream.readToEnd(limit: 100)
                try? await stream.write((question ?? []) + [4])
            }
            try await pair.connect()
            let stream = try await pair.dialer.newStream(pair.listener.peerID, [Self.test])
            try await stream.write([1, 2, 3])
            stream.closeWrite()
            #expect(try await stream.readToEnd(limit: 100) == [1, 2, 3, 4])
            await #expect(throws: LibP2PError.streamClosed) { try await stream.write([1]) }
        }
    }

    @Test func resetWakesBothSidesOfThePeer() async throws {
        try await HostPair.run { pair in
            pair.listener.register(Self.test) { stream in
                _ = try? await stream.read(upTo: 1)
                stream.reset()
            }
            try await pair.connect()
            let stream = try await pair.dialer.newStream(pair.listener.peerID, [Self.test])
            var failed: LibP2PError?
            let writer = Reactor.spawn {
                do throws(LibP2PError) {
                    try await stream.write([UInt8](repeating: 1, count: 8 << 20))
                } catch {
                    failed = error
                }
            }
            await #expect(throws: LibP2PError.streamReset) { _ = try await stream.readExactly(1) }
            await writer.value
            #expect(failed == .streamReset)
        }
    }

    @Test func deadlineEndsReadsAndWrites() async throws {
        try await HostPair.run { pair in
            let ended = WaitQueue()
            var seen: LibP2PError?
            pair.listener.register(Self.test) { stream in
                do throws(LibP2PError) {
                    _ = try await stream.readExactly(100)
                } catch {
                    seen = error
                }
                ended.wakeAll()
            }
            try await pair.connect()
            let stream = try await pair.dialer.newStream(pair.listener.peerID, [Self.test])
            stream.setTimeout(.milliseconds(20))
            await #expect(throws: LibP2PError.timedOut) { _ = try await stream.read(upTo: 1) }
            await #expect(throws: LibP2PError.timedOut) { try await stream.write([1]) }
            while seen == nil { _ = await ended.wait() }
            #expect(seen == .streamReset)
        }
    }

    @Test func cancelledReadEndsAndLosesNothing() async throws {
        try await HostPair.run { pair in
            let gate = Gate()
            pair.listener.register(Self.test) { stream in
                await gate.pass()
                try? await stream.write([9])
            }
            try await pair.connect()
            let stream = try await pair.dialer.newStream(pair.listener.peerID, [Self.test])
            try await stream.write([1])
            var outcome: LibP2PError?
            let reader = Reactor.spawn {
                do throws(LibP2PError) { _ = try await stream.read(upTo: 10) } catch { outcome = error }
            }
            try await Reactor.sleep(for: .milliseconds(20))
            reader.cancel()
            await reader.value
            #expect(outcome == .cancelled)
            gate.open()
            #expect(try await stream.readExactly(1) == [9])
        }
    }

    @Test func slowReaderHoldsUpItsWriterAndNoOther() async throws {
        try await HostPair.run { pair in
            let gate = Gate()
            var total = 0
            pair.listener.register(Self.test) { stream in
                await gate.pass()
                total = (try? await stream.readToEnd(limit: 64 << 20).count) ?? -1
            }
            try await pair.connect()
            let stream = try await pair.dialer.newStream(pair.listener.peerID, [Self.test])
            var isWritten = false
            let writer = Reactor.spawn {
                try? await stream.write([UInt8](repeating: 5, count: 4 << 20))
                isWritten = true
                stream.closeWrite()
            }
            for _ in 0..<20 { _ = try await pair.dialer.ping(pair.listener.peerID) }
            #expect(!isWritten)
            let held = pair.listener.peers[pair.dialer.peerID]?.primary?.mux.unread ?? -1
            #expect(held > 0 && held <= YamuxLimits.initialWindow)
            gate.open()
            _ = try await stream.read(upTo: 1)
            await writer.value
            #expect(total == 4 << 20)
        }
    }

    @Test func wrongPeerIsRefused() async throws {
        try await HostPair.run { pair in
            let other = try PrivateKey.generate(.ed25519).publicKey.peerID
            let address = pair.address.withoutPeerID.appending(.p2p(other))
            let error = await #expect(throws: LibP2PError.self) { try await pair.dialer.connect(address) }
            #expect(error == .wrongPeer(expected: other, actual: pair.listener.peerID))
            #expect(pair.dialer.connectedPeers.isEmpty)
            let again = await #expect(throws: LibP2PError.self) { try await pair.dialer.connect(address) }
            #expect(again == .backingOff)
        }
    }

    @Test func simultaneousDialsLeaveOneConnection() async throws {
        try await Reactor.run {
            for _ in 0..<10 {
                let pair = try HostPair()
                let back = pair.dialer.listenAddresses[0].appending(.p2p(pair.dialer.peerID))
                let one = Reactor.spawn { _ = try? await pair.dialer.connect(pair.address) }
                let two = Reactor.spawn { _ = try? await pair.listener.connect(back) }
                await one.value
                await two.value
                while pair.dialer.peers[pair.listener.peerID]?.connections.count != 1
                    || pair.listener.peers[pair.dialer.peerID]?.connections.count != 1
                {
                    _ = try await pair.dialer.ping(pair.listener.peerID)
                }
                _ = try await pair.dialer.ping(pair.listener.peerID)
                _ = try await pair.listener.ping(pair.dialer.peerID)
                await pair.stop()
            }
        }
    }

    @Test func limitsRefuseWhatIsTooMuch() async throws {
        var limits = ResourceLimits()
        limits.connectionsPerIP = 1
        limits.streamsPerProtocol = 2
        let fixed = limits
        try await HostPair.run(limits: fixed) { pair in
            let go = WaitQueue()
            pair.listener.register(Self.test) { stream in
                try? await stream.write([1])
                _ = await go.wait()
            }
            try await pair.connect()
            var streams: [LibP2P.Stream] = []
            for _ in 0..<2 {
                let stream = try await pair.dialer.newStream(pair.listener.peerID, [Self.test])
                #expect(try await stream.readExactly(1) == [1])
                streams.append(stream)
            }
            let third = try await pair.dialer.newStream(pair.listener.peerID, [Self.test])
            await #expect(throws: LibP2PError.streamReset) { _ = try await third.readExactly(1) }
            go.wakeAll()
            let second = try HostPair.host(limits: fixed)
            try second.start()
            await #expect(throws: LibP2PError.self) { try await second.connect(pair.address) }
            await second.stop()
        }
    }

    /// Garbage in each phase, after `honest` bytes of a valid handshake.
    @Test(arguments: [0, 1, 20, 28, 40, 60]) func garbageIsAnsweredByACloseOnly(honest: Int) async throws {
        try await HostPair.run { pair in
            guard case (.ip(let ip), let port)? = pair.address.transport else { return }
            let address = SocketAddress(ip, port: port)
            let opening = MultistreamDialer([.noise]).start() + [0, 32] + [UInt8](repeating: 9, count: 32)
            let tcp = try await TCPConnection.connect(to: address, timeout: .seconds(5))
            let recorder = Recording()
            tcp.delegate = recorder
            let garbage = Array(opening.prefix(honest)) + [UInt8](repeating: 0xff, count: 20_000)
            garbage.withUnsafeBytes { tcp.send($0) }
            while !recorder.isEnded { _ = await recorder.progress.wait() }
            tcp.close()
            // A valid prefix gets its valid answers: the negotiation's, and the handshake's message.
            let honestAnswers = MultistreamDialer([.noise]).start().count + 400
            #expect(recorder.bytes.count <= (honest < 20 ? 0 : honestAnswers))
            #expect(pair.listener.connectedPeers.isEmpty)
            #expect(pair.listener.connectionCount == 0)
        }
    }

    /// Suspends tasks until it is opened.
    @ReactorActor private final class Gate {
        private var isOpen = false
        private let waiting = WaitQueue()

        func open() {
            isOpen = true
            waiting.wakeAll()
        }

        func pass() async {
            while !isOpen { _ = await waiting.wait() }
        }
    }

    private final class Recording: TCPConnectionDelegate {
        var bytes: [UInt8] = []
        var isEnded = false
        let progress = WaitQueue()

        nonisolated override init() {
            super.init()
        }

        override func received(_ bytes: UnsafeMutableRawBufferPointer) {
            self.bytes.append(contentsOf: bytes)
        }

        override func peerClosedWrite() {
            isEnded = true
            progress.wakeAll()
        }

        override func closed(_ error: ReactorError?) {
            isEnded = true
            progress.wakeAll()
        }
    }

    @Test func backoffGrowsAndIsForgotten() {
        var backoff = DialBackoff<Int>()
        #expect(backoff.mayDial(1, now: .zero))
        backoff.failed(1, now: .zero, random: 0)
        #expect(!backoff.mayDial(1, now: .milliseconds(249)))
        #expect(backoff.mayDial(1, now: .milliseconds(250)))
        for _ in 0..<40 { backoff.failed(1, now: .zero, random: 1023) }
        #expect(!backoff.mayDial(1, now: .seconds(59)))
        #expect(backoff.mayDial(1, now: .seconds(60)))
        backoff.succeeded(1)
        #expect(backoff.mayDial(1, now: .zero))
    }

    @Test func racesAddressesOfBothFamiliesInTurn() throws {
        let texts = ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
        let addresses = try texts.map { try SocketAddress(ip: $0, port: 1) }
        let order = AddressRace.interleaved(addresses).map(\.ip.description)
        #expect(order == ["2001:db8::1", "192.0.2.1", "192.0.2.2"])
    }
}
