import Crypto
import LibP2P
import Multiformats
import Reactor
import Testing
import VirtualIO

@testable import Protocols

/// Which readers may receive long transactions, in virtual time.
@Suite struct BulkGateTests {
    static func peer(_ number: Int) -> PeerID { TransactionRequestsTests.peer(number) }

    /// A gate, and streams whose readers want a place at it.
    @ReactorActor
    final class Readers {
        let gate: BulkGate
        let network: Network
        /// The peers that the gate trusts.
        let pool = Pool()

        init() async throws {
            network = try await Network { _, b in
                b.register("/silent") { _ in try? await Reactor.sleep(for: .seconds(1_000)) }
            }
            gate = BulkGate { [pool] in pool.trusts($0) }
        }

        func stream() async throws -> Stream { try await network.stream("/silent") }

        /// Starts a reader for a peer. It stays until its stream ends.
        func enter(_ peer: PeerID) async throws -> Reader {
            let reader = Reader(BulkPlace(gate, peer), try await stream())
            Reactor.spawn { await reader.run() }
            try await Reactor.sleep(for: .milliseconds(1))
            return reader
        }
    }

    @ReactorActor
    final class Reader {
        let place: BulkPlace
        let stream: Stream
        private(set) var isInside = false
        private(set) var isOver = false

        init(_ place: BulkPlace, _ stream: Stream) {
            self.place = place
            self.stream = stream
        }

        func run() async {
            if (try? await place.enter(for: stream)) != nil {
                isInside = true
                _ = try? await stream.readToEnd(limit: 1)
                place.leave()
                isInside = false
            }
            isOver = true
        }
    }

    @Test func aWaitEndsWithItsStream() throws {
        try MemoryNetwork.run {
            let readers = try await Readers()
            var all: [Reader] = []
            for _ in 0..<10 { all.append(try await readers.enter(Self.peer(1))) }
            #expect(readers.gate.count.waiting == 6)
            for reader in all[4...] { reader.stream.reset() }
            try await Reactor.sleep(for: .milliseconds(1))
            #expect(readers.gate.count.waiting == 0)
            #expect(all[4...].allSatisfy { $0.isOver && !$0.place.isRefused }, "none was refused")
            let next = try await readers.enter(Self.peer(1))
            all[0].stream.reset()
            try await Reactor.sleep(for: .milliseconds(1))
            #expect(next.isInside)
            await readers.network.stop()
        }
    }

    @Test func whoHasMostGivesWayToANewcomer() throws {
        try MemoryNetwork.run {
            let readers = try await Readers()
            var all: [Reader] = []
            for number in 0..<13 {
                for _ in 0..<4 { all.append(try await readers.enter(Self.peer(number))) }
            }
            #expect(readers.gate.count.inside == BulkGate.capacity / 2)
            let newcomer = try await readers.enter(Self.peer(100))
            #expect(newcomer.isInside)
            #expect(all[0].isOver && all[0].place.isRefused, "the earliest of the first peer")
            let another = try await readers.enter(Self.peer(100))
            #expect(!another.isInside, "one has it already")
            await readers.network.stop()
        }
    }

    @Test func trustIsAskedForWhenAPlaceIsTaken() throws {
        try MemoryNetwork.run {
            let readers = try await Readers()
            for number in 0..<13 {
                for _ in 0..<4 { _ = try await readers.enter(Self.peer(number)) }
            }
            let place = BulkPlace(readers.gate, Self.peer(50))
            readers.pool.trusted = [Self.peer(50)]
            try await place.enter(for: try await readers.stream())
            #expect(readers.gate.count.inside == BulkGate.capacity / 2 + 1, "no reader has to give way")
            await readers.network.stop()
        }
    }

    /// What a reader holds is charged to its peer until the reader lets go of it, even if the stream has ended meanwhile.
    @Test func theChargeLastsUntilTheReaderIsDone() throws {
        try MemoryNetwork.run {
            let network = try await Network { _, b in
                b.register("/long") { stream in
                    _ = try? await stream.readToEnd(limit: 1 << 20) { count in
                        guard count >= 100_000 else { return true }
                        try? await Reactor.sleep(for: .seconds(5))
                        return true
                    }
                }
            }
            let stream = try await network.stream("/long")
            try await stream.write([UInt8](repeating: 1, count: 100_000))
            try await Reactor.sleep(for: .seconds(1))
            #expect(network.b.use.held >= 100_000)
            stream.reset()
            try await Reactor.sleep(for: .seconds(1))
            #expect(network.b.use.held >= 100_000)
            try await Reactor.sleep(for: .seconds(5))
            #expect(network.b.use.held == 0)
            await network.stop()
        }
    }
}
