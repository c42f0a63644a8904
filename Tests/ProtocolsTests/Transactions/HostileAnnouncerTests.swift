import Bytes
import Crypto
import LibP2P
import Multiformats
import Reactor
import Testing
import VirtualIO

@testable import Protocols

/// Peers that announce transactions and do not deliver them, and the consequences for them and for others, in virtual time.
@Suite struct HostileAnnouncerTests {
    /// A node with an exchange, a stranger that is connected to it, and the node's reports.
    @ReactorActor
    final class Scene {
        let pool = Pool()
        let exchange: TransactionExchange
        let network: Network
        private(set) var reports: [(peer: PeerID, what: Misbehaviour)] = []

        init() async throws {
            var made: TransactionExchange?
            let pool = pool
            network = try await Network { _, b in
                made = TransactionExchange(b, pool)
                made?.start()
            }
            exchange = try #require(made)
            network.b.observe { [weak self] in
                if case .misbehaved(let peer, let what) = $0 { self?.reports.append((peer, what)) }
            }
        }

        /// Connects another host to the node.
        func another(_ seed: UInt8) async throws -> Host {
            let host = try Network.host(seed, [])
            try host.start()
            let address = try #require(network.b.listenAddresses.first)
            _ = try await host.connect(address.appending(.p2p(network.b.peerID)))
            try await eventually { host.identity(of: self.network.b.peerID) != nil }
            return host
        }

        func stop() async {
            exchange.stop()
            await network.stop()
        }

        /// Opens a batch stream from a host and announces transactions on it.
        func announce(_ ids: [Hash], from host: Host) async throws -> LibP2P.Stream {
            let stream = try await host.newStream(network.b.peerID, [TransactionBatchProtocol.id])
            var frame = ByteWriter()
            TransactionFrame.encode(.announce, ids, to: &frame)
            try await stream.write(frame.bytes)
            return stream
        }

        /// Announces a transaction on a stream of its own, and sends this many bytes of it on request.
        func sendHalf(_ id: Hash, _ count: Int) async throws -> LibP2P.Stream {
            let stream = try await network.stream(TransactionAnnouncementProtocol.id)
            try await stream.write(Array("txann:\(id)".utf8))
            _ = try await stream.readExactly(3)
            try await stream.write([UInt8](repeating: 0, count: count))
            return stream
        }
    }

    static func id(_ number: Int) -> Hash { Hash.sha256(of: Array("invented \(number)".utf8)) }

    /// Strangers announce first and then keep silent; what they announced comes with a block.
    @Test func whoIsNeverAskedIsNotReported() throws {
        try MemoryNetwork.run {
            let scene = try await Scene()
            let honest = Pool()
            let host = try await scene.another(3)
            let exchange = TransactionExchange(host, honest)
            exchange.start()
            exchange.peerReady(scene.network.b.peerID)
            for round in 0..<4 {
                let stranger = try await scene.another(UInt8(10 + round))
                let id = honest.add("transaction \(round)")
                let stream = try await scene.announce([id], from: stranger)
                _ = try await stream.readExactly(3 + Hash.count)
                exchange.announce([id])
                try await Reactor.sleep(for: .seconds(1))
                scene.pool.transactions[id] = honest.transactions[id]
                try await Reactor.sleep(for: .seconds(12))
                await stranger.stop()
            }
            #expect(scene.reports.isEmpty)
            #expect(scene.pool.received.isEmpty)
            exchange.stop()
            await host.stop()
            await scene.stop()
        }
    }

    /// A stranger sends 64 KiB and a little more now and then until the stream's time is over, and begins again.
    @Test func drippedTransactionsAreCounted() throws {
        try MemoryNetwork.run {
            let scene = try await Scene()
            var number = 0
            while scene.reports.isEmpty, number < 6 {
                let stream = try await scene.sendHalf(Self.id(number), 70_000)
                while (try? await stream.write([UInt8](repeating: 0, count: 1_800))) != nil {
                    try await Reactor.sleep(for: .seconds(1))
                }
                number += 1
            }
            #expect(scene.reports.map(\.what) == [.stalling])
            #expect(number <= 3)
            await scene.stop()
        }
    }

    /// A reader that waits for a place with what a stream has brought does not keep out the peer's next stream.
    @Test func aNewStreamReplacesTheOld() throws {
        try MemoryNetwork.run {
            let scene = try await Scene()
            var others: [LibP2P.Stream] = []
            for number in 0..<4 { others.append(try await scene.sendHalf(Self.id(number), 100_000)) }
            let old = try await scene.announce([Self.id(10)], from: scene.network.a)
            _ = try await old.readExactly(3 + Hash.count)
            try await old.write([3, 0, 0, 2, 0])
            try await Reactor.sleep(for: .milliseconds(100))
            let start = Reactor.now
            let new = try await scene.announce([Self.id(11)], from: scene.network.a)
            #expect(try await new.readExactly(3) == [2, 1, 0])
            await #expect(throws: LibP2PError.streamReset) { _ = try await old.readToEnd(limit: 1_000) }
            #expect(Reactor.now - start < .seconds(1))
            // This peer is no longer asked for what was requested on the old stream.
            #expect(scene.exchange.inFlight == 5)
            for other in others { other.reset() }
            await scene.stop()
        }
    }

    /// The sender is not to blame for the time that the node takes to check what it has received.
    @Test func aSlowCheckIsNoLetDown() throws {
        try MemoryNetwork.run {
            let scene = try await Scene()
            let theirs = Pool()
            scene.pool.onReceive = { try? await Reactor.sleep(for: .seconds(60)) }
            for number in 0..<3 {
                let id = theirs.add("transaction \(number)")
                let bytes = try #require(theirs.transactions[id])
                Reactor.spawn {
                    _ = try? await TransactionAnnouncementProtocol.announce(
                        id, bytes, to: scene.network.b.peerID, on: scene.network.a)
                }
                try await Reactor.sleep(for: .seconds(1))
                #expect(scene.exchange.inFlight == 0)
                try await Reactor.sleep(for: .seconds(20))
            }
            #expect(scene.pool.received.count == 3)
            #expect(scene.reports.isEmpty)
            await scene.stop()
        }
    }

    /// What was announced during a pause is requested in portions, between which the loop does other things.
    @Test func aPauseEndsWithoutALongTurn() throws {
        try MemoryNetwork.run {
            let scene = try await Scene()
            scene.pool.trusted = [scene.network.a.peerID]
            scene.exchange.pause()
            let first = try await scene.announce((0..<1_000).map(Self.id), from: scene.network.a)
            for frame in 1..<5 {
                var writer = ByteWriter()
                TransactionFrame.encode(
                    .announce, (0..<1_000).map { Self.id(frame * 1_000 + $0) }, to: &writer)
                try await first.write(writer.bytes)
            }
            // This is not held: there is no stream on which to request it.
            _ = try await scene.network.answer(
                TransactionAnnouncementProtocol.id, to: Array("txann:\(Self.id(9_999))".utf8))
            try await Reactor.sleep(for: .seconds(1))
            scene.exchange.resume()
            #expect(scene.exchange.inFlight == 0)
            var (last, steps) = (0, [Int]())
            for _ in 0..<100 where last < 5_000 {
                try await Reactor.sleep(for: .zero)
                steps.append(scene.exchange.inFlight - last)
                last = scene.exchange.inFlight
            }
            #expect(last == 5_000)
            #expect(steps.allSatisfy { $0 <= 2 * TransactionFrame.maxHashes }, "\(steps)")
            await scene.stop()
        }
    }

    @Test func whatWasHeldGoesWithItsStream() throws {
        try MemoryNetwork.run {
            let scene = try await Scene()
            scene.exchange.pause()
            let stream = try await scene.announce((0..<100).map(Self.id), from: scene.network.a)
            try await Reactor.sleep(for: .seconds(1))
            stream.reset()
            try await Reactor.sleep(for: .seconds(1))
            let next = try await scene.announce([Self.id(200)], from: scene.network.a)
            try await Reactor.sleep(for: .seconds(1))
            scene.exchange.resume()
            #expect(try await next.readExactly(3) == [2, 1, 0])
            #expect(scene.exchange.inFlight == 1)
            await scene.stop()
        }
    }

    /// A listener told to request more than it may returns what it cannot request.
    @Test func wantsBeyondTheRoomComeBack() throws {
        try MemoryNetwork.run {
            let scene = try await Scene()
            let stream = try await scene.network.stream(TransactionBatchProtocol.id)
            let listener = TransactionListener(
                stream, scene.pool, scene.exchange, BulkPlace(BulkGate { _ in true }, stream.remotePeer),
                number: 1)
            let ids = (0..<TransactionListener.maxAsked + 2).map(Self.id)
            #expect(listener.want(ids) == Array(ids.suffix(2)))
            #expect(listener.want([ids[0]]).isEmpty, "it has been requested already")
            listener.stop()
            #expect(listener.want([Self.id(-1)]) == [Self.id(-1)])
            await scene.stop()
        }
    }
}
