import Bytes
import LibP2P
import Multiformats
import Reactor
import TestSupport
import Testing
import VirtualIO

@testable import Protocols

// What stands between a begin and an end is in docs/adding-a-protocol.md.

// begin
/// `/apus/echo/1.0.0`: the requester sends cbytes of at most 1,024 bytes, and the responder sends them back.
@ReactorActor
struct EchoProtocol: KwilStreamProtocol {
    nonisolated static let id: ProtocolID = "/apus/echo/1.0.0"
    static let limit = 1_024

    /// Answers one request.
    func serve(_ stream: Stream) async throws {
        let message = try await stream.readCBytes(limit: Self.limit)
        guard message.count > 0 else { throw ProtocolsError.malformed("empty echo request") }
        try await stream.write(message)
    }

    /// Sends a message to a peer and returns how long its echo took.
    static func request(
        _ message: SharedBytes, from peer: PeerID, on host: Host
    ) async throws(ProtocolsError) -> Duration {
        try await exchange(host, peer, ids) { stream in
            let begin = Reactor.now
            var request = ByteWriter()
            request.put(varint: Int64(message.count))
            request.put(bytes: message)
            try await stream.write(request.bytes)
            guard try await stream.readRest(limit: limit) == message else {
                throw ProtocolsError.wrongContent("another message")
            }
            return Reactor.now - begin
        }
    }
}
// end

// begin
@Suite struct EchoProtocolTests {
    @Test func theEchoTakesARoundTrip() throws {
        try MemoryNetwork.run(latency: .milliseconds(5)) {
            let network = try await Network { _, b in b.register(EchoProtocol()) }
            let message = SharedBytes(Array("hello".utf8))
            let time = try await EchoProtocol.request(message, from: network.b.peerID, on: network.a)
            #expect(time == .milliseconds(10))
            await network.stop()
        }
    }

    @Test func anEmptyMessageIsReported() throws {
        try MemoryNetwork.run {
            let network = try await Network { _, b in b.register(EchoProtocol()) }
            var reports: [Misbehaviour] = []
            network.b.observe { if case .misbehaved(_, let what) = $0 { reports.append(what) } }
            await #expect(throws: LibP2PError.streamReset) {
                try await network.answer(EchoProtocol.id, to: [0])
            }
            #expect(reports == [.malformed])
            await network.stop()
        }
    }
}
// end

@Suite struct AddingAProtocolTests {
    /// The page's blocks of Swift are the code above, byte for byte.
    @Test func thePageShowsWhatIsTested() throws {
        func parts(_ path: String, from begin: String, to end: String) throws -> [String] {
            var parts: [String] = []
            var part: String?
            for line in try ProjectFile.text(path).split(separator: "\n", omittingEmptySubsequences: false) {
                if line == begin {
                    part = ""
                } else if line == end, let whole = part {
                    parts.append(whole)
                    part = nil
                } else {
                    part? += "\(line)\n"
                }
            }
            return parts
        }
        let tested = try parts("Tests/ProtocolsTests/EchoProtocolTests.swift", from: "// begin", to: "// end")
        let shown = try parts("docs/adding-a-protocol.md", from: "```swift", to: "```")
        #expect(tested.count == 2)
        #expect(shown == tested, "copy what stands between the markers to the page")
    }
}
