import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor
import Testing

@testable import Protocols

@Suite struct TransactionProtocolTests {
    @Test(arguments: [false, true]) func requestInBothDialects(isKwil: Bool) async throws {
        try await Reactor.run {
            let pool = Pool()
            let id = pool.add("a transaction")
            let network = try await Network(advertisedByB: isKwil ? ["/kwil/chain/1.0.0/c"] : []) { _, b in
                b.register(TransactionProtocol(pool))
            }
            #expect(
                PeerTraits(network.a.identity(of: network.b.peerID)?.protocols ?? []).transactionDialect
                    == (isKwil ? .binary : .text))
            let found = try await network.request(id)
            #expect(found == pool.transactions[id])
            #expect(try await network.request(.zero) == nil)
            await network.stop()
        }
    }

    @Test func bytesOnTheWire() async throws {
        try await Reactor.run {
            let pool = Pool()
            let id = pool.add("a transaction")
            let network = try await Network { _, b in
                b.register(TransactionProtocol(pool))
            }
            func answer(_ request: [UInt8]) async throws -> [UInt8] {
                try await network.answer(TransactionProtocol.id, to: request)
            }
            #expect(try await answer(Array("gettx:\(id)".utf8)) == Array("a transaction".utf8))
            #expect(try await answer(id.array) == Array("a transaction".utf8))
            #expect(try await answer(Array("gettx:\(Hash.zero)".utf8)) == Array("0".utf8))
            #expect(try await answer(Hash.zero.array) == [0])
            await #expect(throws: LibP2PError.self) {
                _ = try await answer(Array("gettx:\(String(repeating: "x", count: 64))".utf8))
            }
            await network.stop()
        }
    }

    @Test(arguments: [false, true]) func announceInBothDialects(isKwil: Bool) async throws {
        try await Reactor.run {
            let (mine, theirs) = (Pool(), Pool())
            let id = mine.add("new")
            let network = try await Network(advertisedByB: isKwil ? ["/kwil/chain/1.0.0/c"] : []) { _, b in
                b.register(TransactionAnnouncementProtocol(theirs, theirs, BulkGate { _ in true }))
            }
            let bytes = try #require(mine.transactions[id])
            #expect(
                try await TransactionAnnouncementProtocol.announce(
                    id, bytes, to: network.b.peerID, on: network.a))
            try await eventually { theirs.received == [id] }
            #expect(theirs.outcomes == [.delivered])
            #expect(
                try await !TransactionAnnouncementProtocol.announce(
                    id, bytes, to: network.b.peerID, on: network.a))
            await network.stop()
        }
    }

    @Test func announcedContentMustHaveItsHash() async throws {
        try await Reactor.run {
            let pool = Pool()
            let network = try await Network { _, b in
                b.register(TransactionAnnouncementProtocol(pool, pool, BulkGate { _ in true }))
            }
            let stream = try await network.stream(TransactionAnnouncementProtocol.id)
            try await stream.write(Array("txann:\(Hash.sha256(of: [1]))".utf8))
            #expect(try await stream.readExactly(3) == Array("get".utf8))
            try await stream.write([2])
            stream.closeWrite()
            try await eventually { pool.outcomes == [.undelivered] }
            #expect(pool.received.isEmpty)
            await network.stop()
        }
    }
}

@Suite struct ChainProtocolTests {
    /// A genesis accepts no chain ID so long that others could not read the protocol ID that names it.
    @Test func theLongestChainIDFitsIntoAProtocolID() {
        let longest = String(repeating: "x", count: ChainLimits.genesisChainIDBytes)
        #expect(KwilProtocol.chain(longest).rawValue.utf8.count == IdentifyInfo.maximumText)
    }
}
