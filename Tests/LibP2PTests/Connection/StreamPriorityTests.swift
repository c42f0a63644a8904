import Bytes
import Multiformats
import Reactor
import Testing
import VirtualIO

@testable import LibP2P

/// Which streams of a connection send first while its send queue is full, over a slow link in memory.
@Suite struct StreamPriorityTests {
    /// The bytes that the network in memory holds for one end.
    private static let socketBuffers = 256 * 1024

    /// Sends many bytes to whoever opens a stream.
    @ReactorActor
    private struct Bulk: StreamProtocol {
        nonisolated static let id: ProtocolID = "/bulk/1.0.0"
        nonisolated static let ids = [id]
        nonisolated static let size = 4 << 20

        func serve(_ stream: Stream) async throws {
            try await stream.write(SharedBytes([UInt8](repeating: 7, count: Self.size)))
        }
    }

    /// Answers eight bytes with almost as many as a new stream's window has room for.
    @ReactorActor
    private struct Question: StreamProtocol {
        nonisolated static let id: ProtocolID = "/question/1.0.0"
        nonisolated static let ids = [id]
        nonisolated static let priority = StreamPriority.high
        nonisolated static let size = 255 << 10

        func serve(_ stream: Stream) async throws {
            _ = try await stream.readExactly(8)
            try await stream.write(SharedBytes([UInt8](repeating: 9, count: Self.size)))
        }
    }

    /// Runs `body` with a host that serves both protocols to another over 10 MB/s, on which four bulk streams have begun.
    private func run(
        _ body:
            @escaping @ReactorActor @Sendable (_ host: Host, _ peer: PeerID, _ bulk: Tally) async throws ->
            Void
    ) throws {
        try MemoryNetwork.run(latency: .milliseconds(5)) {
            VirtualNetwork.current?.defaultLink.bytesPerSecond = 10_000_000
            let pair = try HostPair()
            for host in [pair.dialer, pair.listener] {
                host.register(Bulk())
                host.register(Question())
            }
            try await pair.connect()
            let peer = pair.listener.peerID
            let tally = Tally()
            for _ in 0..<4 {
                Reactor.spawn { await tally.receive(Bulk.id, Bulk.size, from: peer, on: pair.dialer) }
            }
            while tally.bytes < 1 << 20 { try await Reactor.sleep(for: .milliseconds(1)) }
            try await body(pair.dialer, peer, tally)
            while tally.streams < 4 { try await Reactor.sleep(for: .milliseconds(100)) }
            #expect(tally.bytes == 4 * Bulk.size)
            await pair.stop()
        }
    }

    /// Counts the bytes of bulk streams.
    @ReactorActor
    private final class Tally {
        private(set) var bytes = 0
        /// The number of streams that have ended.
        private(set) var streams = 0

        func receive(_ id: ProtocolID, _ size: Int, from peer: PeerID, on host: Host) async {
            guard let stream = try? await host.newStream(peer, [id]) else { return }
            try? await stream.write([])
            while let piece = try? await stream.read(upTo: 65_536), !piece.isEmpty { bytes += piece.count }
            streams += 1
        }
    }

    @Test func aQuestionIsAnsweredBeforeBulkThatIsNotQueued() throws {
        try run { host, peer, bulk in
            let stream = try await host.newStream(peer, [Question.id])
            try await stream.write([UInt8](repeating: 1, count: 8))
            _ = try await stream.readExactly(1)
            let before = bulk.bytes
            _ = try await stream.readExactly(Question.size - 1)
            // Taking turns with the answer, bulk would be four times as long.
            #expect(
                bulk.bytes - before < Question.size / 2, "\(bulk.bytes - before) bytes overtook the answer")
            stream.close()
        }
    }

    /// Together the answers are longer than the send queue, so that they have to stand in line.
    @Test func manyAnswersGoBeforeBulk() throws {
        try run { host, peer, bulk in
            var streams: [Stream] = []
            for _ in 0..<4 { streams.append(try await host.newStream(peer, [Question.id])) }
            for stream in streams { try await stream.write([UInt8](repeating: 1, count: 8)) }
            _ = try await streams[0].readExactly(1)
            let before = bulk.bytes
            _ = try await streams[0].readExactly(Question.size - 1)
            for stream in streams[1...] { _ = try await stream.readExactly(Question.size) }
            #expect(
                bulk.bytes - before < Question.size / 2, "\(bulk.bytes - before) bytes overtook the answers")
            for stream in streams { stream.close() }
        }
    }

    @Test func aQuestionWaitsForAtMostTheQueuesOfBothEnds() throws {
        try run { host, peer, bulk in
            let before = bulk.bytes
            let stream = try await host.newStream(peer, [Question.id])
            try await stream.write([UInt8](repeating: 1, count: 8))
            _ = try await stream.readExactly(1)
            let queues = TCPConnection.highWater + Connection.largestBody + 2 * Self.socketBuffers
            #expect(bulk.bytes - before < queues, "the answer waited for \(bulk.bytes - before) bytes")
            stream.close()
        }
    }
}
