import Bytes
import Crypto
import LibP2P
import Multiformats
import Reactor
import Testing
import VirtualIO

@testable import Protocols

/// Peers that request what was not announced to them.
@Suite struct HostileListenerTests {
    @Test func onlyWhatWasAnnouncedIsLookedFor() throws {
        try MemoryNetwork.run {
            var wants: LibP2P.Stream?
            let network = try await Network { _, b in
                b.register(TransactionBatchProtocol.id) { stream in
                    wants = stream
                    try? await Reactor.sleep(for: .seconds(1_000))
                }
            }
            let pool = Pool()
            let exchange = TransactionExchange(network.a, pool)
            exchange.start()
            exchange.peerReady(network.b.peerID)
            let (told, untold) = (pool.add("told"), pool.add("untold"))
            exchange.announce([told])
            try await eventually { wants != nil }
            let stream = try #require(wants)
            #expect(try await stream.readExactly(3 + Hash.count) == [1, 1, 0] + told.array)
            func want(_ ids: [Hash]) async throws {
                var frame = ByteWriter()
                TransactionFrame.encode(.want, ids, to: &frame)
                try await stream.write(frame.bytes)
            }
            try await want([untold])
            #expect(try await stream.readExactly(3 + Hash.count) == [4, 1, 0] + untold.array)
            #expect(pool.looks == 0)
            try await want([told])
            #expect(try await stream.readExactly(5 + 4) == [3, 4, 0, 0, 0] + Array("told".utf8))
            try await want([told])
            #expect(
                try await stream.readExactly(3 + Hash.count) == [4, 1, 0] + told.array,
                "it has been sent already")
            #expect(pool.looks == 1)
            exchange.stop()
            await network.stop()
        }
    }

    @Test func announcementsHaveARate() throws {
        try MemoryNetwork.run {
            let network = try await Network { _, _ in }
            let exchange = TransactionExchange(network.a, Pool())
            exchange.start()
            let stream = try await network.b.newStream(
                network.a.peerID, [TransactionBatchProtocol.id])
            let start = Reactor.now
            for number in 0..<100 {
                let ids = (0..<TransactionFrame.maxHashes).map {
                    Hash.sha256(of: Array("\(number) \($0)".utf8))
                }
                var frame = ByteWriter()
                TransactionFrame.encode(.announce, ids[...], to: &frame)
                try await stream.write(frame.bytes)
            }
            // What is still on its way at the end fits into the stream's window.
            #expect(Reactor.now - start > .milliseconds(1_500))
            exchange.stop()
            await network.stop()
        }
    }
}
