import Bytes
import Multiformats
import Reactor
import Testing
import VirtualIO

@testable import LibP2P

/// Peers that send messages that are cheaper to send than to handle, and peers that stop sending or reading. All in
/// memory.
@Suite struct CheapMessageTests {
    private static let test: ProtocolID = "/test/1.0.0"

    /// Two connected hosts, and what the listener has reported of the dialer.
    @ReactorActor
    private final class Meeting {
        let pair: HostPair
        private(set) var reports: [Misbehaviour] = []
        private(set) var identified = 0
        private(set) var ends: [LibP2PError] = []

        init(_ pair: HostPair) async throws {
            self.pair = pair
            pair.listener.observe { [weak self] event in
                guard let self else { return }
                switch event {
                case .misbehaved(_, let what): reports.append(what)
                case .identified: identified += 1
                case .disconnected(_, let reason): ends.append(reason)
                case .connected: break
                }
            }
            try await pair.connect()
            try await Reactor.sleep(for: .seconds(1))
        }

        /// The dialer's and the listener's side of the connection.
        var ours: Connection? { pair.dialer.peers[pair.listener.peerID]?.primary }
        var theirs: Connection? { pair.listener.peers[pair.dialer.peerID]?.primary }
    }

    private func run(
        _ limits: ResourceLimits = ResourceLimits(),
        _ body: @escaping @ReactorActor @Sendable (Meeting) async throws -> Void
    ) throws {
        try MemoryNetwork.run(latency: .milliseconds(1)) {
            let pair = try HostPair(limits: limits)
            try await body(try await Meeting(pair))
            await pair.stop()
        }
    }

    /// Sends the frames that `frames` makes every 100 ms until the connection ends, and returns the time taken.
    @ReactorActor
    private func flood(
        _ meeting: Meeting, for limit: Duration = .seconds(20), _ frames: (Connection) -> Void
    ) async throws -> Duration {
        let start = Reactor.now
        while let connection = meeting.ours, Reactor.now - start < limit {
            frames(connection)
            connection.flushControl(evenIfFull: true)
            try await Reactor.sleep(for: .milliseconds(100))
        }
        return Reactor.now - start
    }

    /// Opens and resets a stream, in 24 bytes.
    @ReactorActor
    private func resetOne(_ connection: Connection) {
        guard case .opened(let slot) = connection.mux.open(now: Reactor.now) else { return }
        connection.mux.announce(slot)
        connection.mux.reset(slot)
    }

    @Test func aStreamWithoutBytesHasNoTask() throws {
        try run { meeting in
            let (ours, theirs) = (try #require(meeting.ours), try #require(meeting.theirs))
            ours.mux.announce(try #require(try await ours.openStream().slot))
            ours.flushControl()
            try await Reactor.sleep(for: .seconds(1))
            #expect(theirs.mux.inboundCount == 1)
            #expect(theirs.streams.compactMap { $0 }.allSatisfy { $0.isSilent && $0.reader == .none })
            // It has as long as any stream to negotiate a protocol.
            try await Reactor.sleep(for: .seconds(8))
            #expect(theirs.mux.inboundCount == 1)
            try await Reactor.sleep(for: .seconds(2))
            #expect(theirs.mux.inboundCount == 0)
        }
    }

    @Test func rapidResetsLeaveNothingBehindAndEndTheConnection() throws {
        try run { meeting in
            let theirs = try #require(meeting.theirs)
            for _ in 0..<3_500 { resetOne(try #require(meeting.ours)) }
            meeting.ours?.flushControl()
            try await Reactor.sleep(for: .seconds(1))
            // A burst is tolerated.
            #expect(meeting.reports == [] && meeting.theirs === theirs)
            #expect(theirs.mux.inboundCount == 0 && theirs.streams.isEmpty && theirs.startingStreams == 0)
            let taken = theirs.mux.highestPeerID
            let time = try await flood(meeting) { connection in for _ in 0..<2_000 { resetOne(connection) } }
            #expect(meeting.reports == [.flooding])
            #expect(meeting.ends == [.limitReached("messages without content")])
            #expect(time > MessageCredit.patience && time < .seconds(10))
            // 100,000 were sent meanwhile.
            #expect(Int(theirs.mux.highestPeerID - taken) / 2 < 25_000)
        }
    }

    /// An unusual burst is no offence if it ends.
    @Test func aThousandStreamsAtOnceAreServed() throws {
        try run { meeting in
            meeting.pair.listener.register(Self.test) { stream in
                try? await stream.write((try? await stream.readToEnd(limit: 100)) ?? [])
            }
            for _ in 0..<3 {
                var done = 0
                let tasks = (0..<700).map { _ in
                    Reactor.spawn {
                        guard
                            let stream = try? await meeting.pair.dialer.newStream(
                                meeting.pair.listener.peerID, [Self.test])
                        else { return }
                        try? await stream.write([1, 2, 3])
                        stream.closeWrite()
                        if (try? await stream.readToEnd(limit: 100)) == [1, 2, 3] { done += 1 }
                        stream.close()
                    }
                }
                for task in tasks { await task.value }
                #expect(done == 700)
            }
            #expect(meeting.reports == [])
        }
    }

    @Test(arguments: [
        YamuxHeader(.ping, flags: .syn, length: 5), YamuxHeader(.ping, flags: .ack, length: 5),
        YamuxHeader(.windowUpdate, streamID: 1), YamuxHeader(.data, streamID: 1),
        YamuxHeader(.windowUpdate, flags: .rst, streamID: 1),
    ])
    func framesWithoutContentEndTheConnection(header: YamuxHeader) throws {
        try run { meeting in
            let stream = try await meeting.pair.dialer.newStream(meeting.pair.listener.peerID, [.ping])
            _ = try await Ping.measure(on: stream)
            var header = header
            if header.streamID != 0 {
                header.streamID = try #require(meeting.ours).mux.slots[try #require(stream.slot)].id
            }
            let time = try await flood(meeting) { connection in
                for _ in 0..<5_000 { connection.mux.put(header) }
            }
            #expect(meeting.reports == [.flooding])
            #expect(time < .seconds(15))
        }
    }

    @Test func answersThatAreNotReadAreBounded() throws {
        try run { meeting in
            let (ours, theirs) = (try #require(meeting.ours), try #require(meeting.theirs))
            ours.tcp.pauseReceiving()
            var most = 0
            for _ in 0..<300 {
                for _ in 0..<900 { ours.mux.put(YamuxHeader(.ping, flags: .syn, length: 1)) }
                ours.flushControl(evenIfFull: true)
                most = max(most, theirs.mux.control.count + theirs.tcp.queuedBytes)
                try await Reactor.sleep(for: .milliseconds(100))
            }
            #expect(most < TCPConnection.highWater + theirs.mux.limits.pendingControl + (256 << 10))
        }
    }

    /// A peer that is alive but does not read is disconnected; the second time in a row it is blamed.
    @Test func aPeerThatDoesNotReadIsLetGoOf() throws {
        try run { meeting in
            for times in 1...2 {
                if times > 1 {
                    try await meeting.pair.connect()
                    try await Reactor.sleep(for: .seconds(1))
                }
                meeting.pair.dialer.register(Self.test) { stream in
                    try? await Reactor.sleep(for: .seconds(200))
                    stream.reset()
                }
                let ours = try #require(meeting.ours)
                ours.tcp.pauseReceiving()
                for _ in 0..<20 {
                    let stream = try await meeting.pair.listener.newStream(
                        meeting.pair.dialer.peerID, [Self.test])
                    Reactor.spawn { try? await stream.write([UInt8](repeating: 1, count: 250_000)) }
                }
                let start = Reactor.now
                while meeting.ends.count < times, Reactor.now - start < .seconds(100) {
                    ours.mux.put(YamuxHeader(.ping, flags: .syn, length: 1))
                    ours.flushControl(evenIfFull: true)
                    try await Reactor.sleep(for: .seconds(1))
                }
                #expect(Reactor.now - start <= .seconds(35))
                #expect(meeting.ends.last == .stalled)
                #expect(meeting.reports == (times == 1 ? [] : [.stalling]))
                meeting.pair.dialer.disconnect(meeting.pair.listener.peerID)
                try await Reactor.sleep(for: .seconds(10))
            }
        }
    }

    @Test func pingsInLongFramesHaveARate() throws {
        try run { meeting in
            let stream = try await meeting.pair.dialer.newStream(meeting.pair.listener.peerID, [.ping])
            Reactor.spawn { while (try? await stream.read(upTo: 1 << 20).isEmpty) == false {} }
            let start = Reactor.now
            while meeting.reports.isEmpty, Reactor.now - start < .seconds(30) {
                guard (try? await stream.write([UInt8](repeating: 7, count: 1 << 20))) != nil else { break }
            }
            let answered = stream.bytesReceived / Ping.size
            let seconds = (Reactor.now - start) / .seconds(1)
            #expect(Double(answered) / seconds <= 100_000)
            #expect(meeting.reports == [.flooding])
        }
    }

    @Test func aPingAfterTheOtherIsFree() throws {
        try run { meeting in
            let stream = try await meeting.pair.dialer.newStream(meeting.pair.listener.peerID, [.ping])
            for _ in 0..<1_000 { _ = try await Ping.measure(on: stream) }
            #expect(meeting.reports.isEmpty)
        }
    }

    @Test(arguments: [0, 1]) func noiseMessagesWithNothingInThemEndTheConnection(_ count: Int) throws {
        try run { meeting in
            // A late frame of the stream on which the listener has identified the dialer, or none.
            var header = [UInt8](repeating: 0, count: YamuxHeader.size)
            header.withUnsafeMutableBytes {
                YamuxHeader(.data, streamID: 1, length: 20_000).write(to: $0)
            }
            let end = try await flood(meeting) { connection in
                if count > 0 { Self.seal(header, on: connection) }
                for _ in 0..<20_000 { Self.seal([UInt8](repeating: 0, count: count), on: connection) }
            }
            #expect(end < .seconds(10))
            #expect(meeting.reports == [.flooding])
        }
    }

    @ReactorActor
    private static func seal(_ plaintext: [UInt8], on connection: Connection) {
        let room = connection.tcp.reserve(64)
        let size = plaintext.withUnsafeBytes { try? connection.noise?.seal($0, into: room) }
        connection.tcp.commit(size ?? 0)
    }

    @Test(arguments: [true, false]) func whatAReadGathersIsCounted(_ isLengthKnown: Bool) throws {
        var limits = ResourceLimits()
        limits.bytesPerPeer = 1 << 20
        try run(limits) { meeting in
            var errors: [LibP2PError] = []
            meeting.pair.listener.register(Self.test) { stream in
                do throws(LibP2PError) {
                    if isLengthKnown {
                        _ = try await stream.readShared(64 << 20)
                    } else {
                        _ = try await stream.readToEnd(limit: 64 << 20)
                    }
                } catch {
                    errors.append(error)
                }
            }
            for _ in 0..<3 {
                let stream = try await meeting.pair.dialer.newStream(
                    meeting.pair.listener.peerID, [Self.test])
                Reactor.spawn { try? await stream.write([UInt8](repeating: 1, count: 450_000)) }
            }
            try await Reactor.sleep(for: .seconds(1))
            #expect(errors == [.limitReached("bytes held for one peer")])
            #expect(meeting.reports == [.flooding])
            #expect(meeting.pair.listener.held > 800_000 && meeting.pair.listener.held <= 1 << 20)
            #expect(meeting.theirs?.peer.held == meeting.pair.listener.held)
            meeting.pair.dialer.disconnect(meeting.pair.listener.peerID)
            try await Reactor.sleep(for: .seconds(1))
            #expect(meeting.pair.listener.held == 0 && errors.count == 3)
        }
    }

    /// The bytes of a completed read belong to the reader and are not counted.
    @Test func whatHasBeenHandedOverIsNotCounted() throws {
        var limits = ResourceLimits()
        limits.bytesPerPeer = 1 << 20
        try run(limits) { meeting in
            var kept: [SharedBytes] = []
            meeting.pair.listener.register(Self.test) { stream in
                while let bytes = try? await stream.readShared(500_000) { kept.append(bytes) }
            }
            let stream = try await meeting.pair.dialer.newStream(meeting.pair.listener.peerID, [Self.test])
            try await stream.write([UInt8](repeating: 1, count: 4_000_000))
            try await Reactor.sleep(for: .seconds(1))
            #expect(kept.count == 8 && meeting.reports == [] && meeting.pair.listener.held == 0)
        }
    }

    @Test(arguments: [true, false]) func whoLetsALongReadDripIsCut(_ isLengthKnown: Bool) throws {
        try run { meeting in
            var errors: [LibP2PError] = []
            meeting.pair.listener.register(Self.test) { stream in
                do throws(LibP2PError) {
                    if isLengthKnown {
                        _ = try await stream.readShared(4 << 20, idle: .seconds(60)) { _ in }
                    } else {
                        _ = try await stream.readToEnd(limit: 4 << 20)
                    }
                } catch {
                    errors.append(error)
                }
            }
            for times in 1...2 {
                let stream = try await meeting.pair.dialer.newStream(
                    meeting.pair.listener.peerID, [Self.test])
                try await stream.write([UInt8](repeating: 1, count: 100_000))
                for _ in 0..<25 where errors.count < times {
                    try? await stream.write([UInt8](repeating: 1, count: 1_000))
                    try await Reactor.sleep(for: .seconds(1))
                }
                #expect(errors == Array(repeating: .timedOut, count: times))
                #expect(meeting.reports == (times == 1 ? [] : [.stalling]))
            }
            #expect(meeting.pair.listener.held == 0)
        }
    }

    /// A slow link is not an attack.
    @Test func aSlowReadThatGoesOnIsLeftAlone() throws {
        try run { meeting in
            var count = 0
            meeting.pair.listener.register(Self.test) { stream in
                count = (try? await stream.readToEnd(limit: 4 << 20).count) ?? -1
            }
            let stream = try await meeting.pair.dialer.newStream(meeting.pair.listener.peerID, [Self.test])
            for _ in 0..<100 {
                try await stream.write([UInt8](repeating: 1, count: 2_000))
                try await Reactor.sleep(for: .seconds(1))
            }
            stream.closeWrite()
            try await Reactor.sleep(for: .seconds(1))
            #expect(count == 200_000 && meeting.reports == [])
        }
    }

    @ReactorActor private func push(_ meeting: Meeting, _ agent: String) async throws {
        let info = IdentifyInfo(agentVersion: agent, protocols: [.identifyPush])
        let stream = try await meeting.pair.dialer.newStream(
            meeting.pair.listener.peerID, [.identifyPush])
        try? await Identify.send(info, on: stream)
        try await Reactor.sleep(for: .milliseconds(10))
    }

    @Test func identifyPushesHaveARate() throws {
        try run { meeting in
            #expect(meeting.identified == 1)
            // A repetition has no effect.
            for _ in 0..<3 { try await push(meeting, "same") }
            #expect(meeting.identified == 2)
            for number in 0..<20 { try await push(meeting, "new \(number)") }
            #expect(meeting.identified == 4)
            let peer = meeting.pair.dialer.peerID
            #expect(meeting.pair.listener.identity(of: peer)?.agentVersion == "new 1")
            // The host asks for what it ignored.
            try await Reactor.sleep(for: .seconds(11))
            #expect(meeting.identified == 5)
            #expect(
                meeting.pair.listener.identity(of: peer)?.agentVersion
                    == meeting.pair.dialer.configuration.agentVersion)
            try await push(meeting, "later")
            #expect(meeting.pair.listener.identity(of: peer)?.agentVersion == "later")
            #expect(meeting.reports == [])
            let start = Reactor.now
            while meeting.reports.isEmpty, Reactor.now - start < .seconds(30) {
                try? await push(meeting, "flood")
            }
            #expect(meeting.reports == [.flooding] && meeting.identified == 6)
            #expect(meeting.pair.listener.connectedPeers == [])
        }
    }
}
