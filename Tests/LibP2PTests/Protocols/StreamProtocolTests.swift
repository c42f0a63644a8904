import Multiformats
import Reactor
import Testing
import VirtualIO

@testable import LibP2P

/// What a host does around a protocol's `serve`.
@Suite struct StreamProtocolTests {
    /// Reads one byte, and ends as that byte says.
    @ReactorActor
    private struct Obedient: StreamProtocol {
        nonisolated static let ids: [ProtocolID] = ["/test/2.0.0", "/test/1.0.0"]
        nonisolated static let patience: Duration? = .seconds(3)

        func serve(_ stream: LibP2P.Stream) async throws {
            let order = try await stream.readExactly(1)
            try await stream.write(order)
            if order == [1] { throw LibP2PError.malformed("order") }
            if order == [2] { throw LibP2PError.timedOut }
        }
    }

    /// Opens a stream to an `Obedient` host, sends `order`, and returns how the stream ended, after how long, and what the host
    /// reported.
    private func end(
        _ order: [UInt8], _ id: ProtocolID = Obedient.ids[0]
    ) throws -> (error: LibP2PError?, after: Duration, reports: [Misbehaviour]) {
        try MemoryNetwork.run {
            let pair = try HostPair()
            pair.listener.register(Obedient())
            var reports: [Misbehaviour] = []
            pair.listener.observe { if case .misbehaved(_, let what) = $0 { reports.append(what) } }
            try await pair.connect()
            let stream = try await pair.dialer.newStream(pair.listener.peerID, [id])
            var failure: LibP2PError?
            let begin = Reactor.now
            do throws(LibP2PError) {
                // The first bytes negotiate; an empty order sends no more.
                try await stream.write(order)
                #expect(try await stream.readToEnd(limit: 10) == order)
            } catch {
                failure = error
            }
            let end = Reactor.now - begin
            await pair.stop()
            return (failure, end, reports)
        }
    }

    @Test(arguments: Obedient.ids) func returningClosesTheStream(id: ProtocolID) throws {
        let end = try end([0], id)
        #expect(end.error == nil)
        #expect(end.reports.isEmpty)
    }

    @Test func throwingResetsItAndReportsThePeerForWhatIsItsFault() throws {
        let faulty = try end([1])
        #expect(faulty.error == .streamReset)
        #expect(faulty.reports == [.malformed])
        let excused = try end([2])
        #expect(excused.error == .streamReset)
        #expect(excused.reports.isEmpty)
    }

    @Test func patienceEnds() throws {
        let end = try end([])
        #expect(end.error == .streamReset)
        #expect(end.after == .seconds(3))
        #expect(end.reports.isEmpty)
    }

    @Test func anUnregisteredProtocolIsNotServed() throws {
        try MemoryNetwork.run {
            let pair = try HostPair()
            pair.listener.register(Obedient())
            #expect(pair.listener.protocols.contains("/test/1.0.0"))
            pair.listener.unregister(Obedient.ids)
            #expect(Obedient.ids.allSatisfy { !pair.listener.protocols.contains($0) })
            try await pair.connect()
            let stream = try await pair.dialer.newStream(pair.listener.peerID, Obedient.ids.suffix(1))
            try await stream.write([0])
            await #expect(throws: LibP2PError.self) { try await stream.readExactly(1) }
            await pair.stop()
        }
    }
}
