import Crypto
import LibP2P
import Multiformats
import Reactor
import Testing

@testable import Protocols

/// Peers that want what they were not told of.
@Suite struct HostileListenerTests {
    @Test func onlyWhatWasAnnouncedIsLookedFor() throws {
        try MemoryNetwork.run {
            var wants: LibP2P.Stream?
            let network = try await Network { _, b in
                b.setStreamHandler(KwilProtocol.transactionBatches) { stream in
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
            #expect(try await stream.readExactly(3 + Hash.count) == [4, 1, 0] + told.array, "it has had it")
            #expect(pool.looks == 1)
            exchange.stop()
            await network.stop()
        }
    }

    @Test func manyFramesLeaveOthersTheirTurn() throws {
        try MemoryNetwork.run {
            let work = WorkTurn()
            var turns = 0
            Reactor.spawn {
                while turns < 1_000 {
                    turns += 1
                    try? await Reactor.sleep(for: .zero)
                }
            }
            for _ in 0..<WorkTurn.length { try await work.did(1) }
            #expect((10...30).contains(turns), "\(turns)")
        }
    }
}
