import Chain
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor
import Testing

/// Peers that stall, in virtual time.
@Suite struct SlowPeerTests {
    @Test func silentRequesterIsCutOff() throws {
        try MemoryNetwork.run {
            let network = try await Network { _, b in
                let serving = TransactionProtocol(Pool())
                b.setStreamHandler(KwilProtocol.transaction) { await serving.serve($0) }
            }
            let stream = try await network.stream(KwilProtocol.transaction)
            try await stream.write(Array("gettx:12".utf8))
            let start = Reactor.now
            await #expect(throws: LibP2PError.streamReset) { _ = try await stream.readToEnd(limit: 10) }
            #expect(Reactor.now - start >= .seconds(5))
            #expect(Reactor.now - start < .seconds(6))
            await network.stop()
        }
    }

    @Test func silentListenerIsGivenUp() throws {
        try MemoryNetwork.run {
            let network = try await Network { _, b in
                b.setStreamHandler(KwilProtocol.blockAnnouncement) { _ in
                    try? await Reactor.sleep(for: .seconds(1000))
                }
            }
            let (block, info) = try Chainlet(heights: 1).blocks[0]
            let start = Reactor.now
            await #expect(throws: ProtocolsError.self) {
                try await BlockAnnouncementProtocol.announce(
                    SharedBytes(BlockAnnouncement(block, info).bytes), block: block.bytes,
                    to: network.b.peerID,
                    on: network.a)
            }
            #expect(Reactor.now - start < .seconds(6))
            await network.stop()
        }
    }

    @Test func proposerThatNeverSendsTheBlockFails() throws {
        try MemoryNetwork.run {
            let chain = try Chainlet(heights: 1)
            let inbox = Inbox(chain.leader.publicKey)
            let network = try await Network { _, b in
                let proposal = BlockProposalProtocol(inbox)
                b.setStreamHandler(KwilProtocol.blockProposal) { await proposal.serve($0) }
            }
            let proposal = BlockProposal(chain.blocks[0].block, sender: chain.leader.publicKey)
            let stream = try await network.stream(KwilProtocol.blockProposal)
            try await stream.write(proposal.bytes)
            #expect(try await stream.readExactly(3) == Array("get".utf8))
            await #expect(throws: LibP2PError.streamReset) { _ = try await stream.readToEnd(limit: 10) }
            #expect(inbox.failures.count == 1)
            // The download is over, so that another peer's announcement is answered again.
            let again = try await network.stream(KwilProtocol.blockProposal)
            try await again.write(proposal.bytes)
            #expect(try await again.readExactly(3) == Array("get".utf8))
            again.reset()
            try await eventually { inbox.failures.count == 2 }
            await network.stop()
        }
    }

    /// A announces and never delivers; B turns to C, which announced the same.
    @Test func wantedTransactionComesFromTheNextPeer() throws {
        try MemoryNetwork.run {
            let (poolB, poolC) = (Pool(), Pool())
            let id = poolC.add("wanted")
            let c = try Network.host(3, [])
            let network = try await Network { _, _ in }
            let exchangeB = TransactionExchange(network.b, poolB)
            let exchangeC = TransactionExchange(c, poolC)
            exchangeB.start()
            exchangeC.start()
            try c.start()
            _ = try await c.connect(
                try #require(network.b.listenAddresses.first).appending(.p2p(network.b.peerID)))
            try await eventually { c.identity(of: network.b.peerID) != nil }

            let silent = try await network.stream(KwilProtocol.transactionBatches)
            var frame = ByteWriter()
            frame.put(u8: 1)
            frame.put(u16: 1)
            frame.put(bytes: id)
            try await silent.write(frame.bytes)
            #expect(try await silent.readExactly(1) == [2])
            let start = Reactor.now
            exchangeC.peerReady(network.b.peerID)
            exchangeC.announce([id])
            try await eventually { poolB.received == [id] }
            #expect(Reactor.now - start >= .seconds(8))
            #expect(exchangeB.inFlight == 0)
            exchangeB.stop()
            exchangeC.stop()
            await c.stop()
            await network.stop()
        }
    }
}
