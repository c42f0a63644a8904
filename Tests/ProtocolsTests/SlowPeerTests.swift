import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor
import TestSupport
import Testing
import VirtualIO

/// Peers that stall, in virtual time.
@Suite struct SlowPeerTests {
    @Test func silentRequesterIsCutOff() throws {
        try MemoryNetwork.run {
            let network = try await Network { _, b in
                b.register(TransactionProtocol(Pool()))
            }
            let stream = try await network.stream(TransactionProtocol.id)
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
                b.register(BlockAnnouncementProtocol.id) { _ in
                    try? await Reactor.sleep(for: .seconds(1000))
                }
            }
            let link = try TestChain(heights: 1).links[0]
            let (block, info) = (link.block, link.commitInfo)
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
            let chain = try TestChain(heights: 1)
            let inbox = Inbox(chain.leader.publicKey)
            let network = try await Network { _, b in
                b.register(BlockProposalProtocol(inbox))
            }
            let proposal = BlockProposal(chain.links[0].block, sender: chain.leader.publicKey)
            let stream = try await network.stream(BlockProposalProtocol.id)
            try await stream.write(proposal.bytes)
            #expect(try await stream.readExactly(3) == Array("get".utf8))
            await #expect(throws: LibP2PError.streamReset) { _ = try await stream.readToEnd(limit: 10) }
            #expect(inbox.failures.count == 1)
            // The fetch has failed, so the next announcement is answered again.
            let again = try await network.stream(BlockProposalProtocol.id)
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

            let silent = try await network.stream(TransactionBatchProtocol.id)
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
            #expect(Reactor.now - start >= .seconds(1))
            #expect(Reactor.now - start < .seconds(4))
            #expect(exchangeB.inFlight == 0)
            exchangeB.stop()
            exchangeC.stop()
            await c.stop()
            await network.stop()
        }
    }

    /// Opens a batch stream to B and writes `bytes`. Returns how long B then keeps the stream open.
    private func patience(
        after bytes: [UInt8], knowing text: String? = nil
    ) throws -> Duration {
        try MemoryNetwork.run {
            let pool = Pool()
            if let text { _ = pool.add(text) }
            let network = try await Network { _, _ in }
            let exchange = TransactionExchange(network.b, pool)
            exchange.start()
            let stream = try await network.stream(TransactionBatchProtocol.id)
            if !bytes.isEmpty { try await stream.write(bytes) }
            let start = Reactor.now
            stream.setTimeout(.seconds(100_000))
            await #expect(throws: LibP2PError.streamReset) { _ = try await stream.readToEnd(limit: 1 << 20) }
            let waited = Reactor.now - start
            #expect(exchange.inFlight == 0 || waited < .seconds(30))
            exchange.stop()
            await network.stop()
            return waited
        }
    }

    private static func announcement(_ ids: [Hash]) -> [UInt8] {
        var frame = ByteWriter()
        frame.put(u8: 1)
        frame.put(u16: UInt16(ids.count))
        for id in ids { frame.put(bytes: id) }
        return frame.bytes
    }

    private static func isAbout(_ duration: Duration, _ seconds: Int64) -> Bool {
        duration >= .seconds(seconds) && duration < .seconds(seconds + 2)
    }

    @Test func whoOpensAndSaysNothingIsCutOff() throws {
        // One byte, because only the first opens the stream at B.
        #expect(Self.isAbout(try patience(after: [1]), 20))
    }

    @Test func whoStallsWithinAFrameIsCutOff() throws {
        let half = Self.announcement([Hash.sha256(of: [1])]).dropLast(10)
        #expect(Self.isAbout(try patience(after: Array(half)), 20))
    }

    @Test func whoAnnouncesAndNeverDeliversIsCutOff() throws {
        let frame = Self.announcement((0..<3).map { Hash.sha256(of: [$0]) })
        #expect(Self.isAbout(try patience(after: frame), 60))
    }

    @Test func whoHasNothingMoreToSayIsCutOffLate() throws {
        let frame = Self.announcement([Hash.sha256(of: Array("known".utf8))])
        #expect(Self.isAbout(try patience(after: frame, knowing: "known"), 600))
    }

    /// Peers begin long transactions and do not finish them: what they make a node hold is bounded.
    @Test func halfSentTransactionsAreFewAtATime() throws {
        try MemoryNetwork.run {
            let pool = Pool()
            let network = try await Network { _, _ in }
            let exchange = TransactionExchange(network.b, pool)
            exchange.start()
            var sent = 0
            for number in 0..<40 {
                let stream = try await network.stream(TransactionAnnouncementProtocol.id)
                try await stream.write(Array("txann:\(Hash.sha256(of: [UInt8(number)]))".utf8))
                #expect(try await stream.readExactly(3) == Array("get".utf8))
                Reactor.spawn {
                    let piece = [UInt8](repeating: 0, count: 100_000)
                    for _ in 0..<50 {
                        guard (try? await stream.write(piece)) != nil else { return }
                        sent += piece.count
                    }
                }
            }
            try await Reactor.sleep(for: .seconds(5))
            // Four transactions as far as they were sent, and one window of each of the others.
            #expect(sent < 4 * 5_000_000 + 40 * 600_000, "\(sent)")
            try await Reactor.sleep(for: .seconds(60))
            exchange.stop()
            await network.stop()
        }
    }

    /// All long transactions of one peer come, a few at a time.
    @Test func longTransactionsWaitForEachOther() throws {
        try MemoryNetwork.run {
            let (poolA, poolB) = (Pool(), Pool())
            let network = try await Network { _, _ in }
            let exchange = TransactionExchange(network.b, poolB)
            exchange.start()
            let ids = (0..<20).map { poolA.add("\($0) " + String(repeating: "x", count: 1 << 20)) }
            for id in ids {
                guard let bytes = poolA.transactions[id] else { continue }
                Reactor.spawn {
                    _ = try? await TransactionAnnouncementProtocol.announce(
                        id, bytes, to: network.b.peerID, on: network.a)
                }
            }
            try await eventually { poolB.received.count == ids.count }
            #expect(exchange.inFlight == 0)
            exchange.stop()
            await network.stop()
        }
    }

    @Test func whatIsLongerThanTheChainTakesIsNotRead() throws {
        try MemoryNetwork.run {
            let (poolA, poolB) = (Pool(), Pool())
            poolB.transactionLimit = 100_000
            let network = try await Network { _, _ in }
            let exchange = TransactionExchange(network.b, poolB)
            exchange.start()
            var reports: [Misbehaviour] = []
            network.b.observe { if case .misbehaved(_, let what) = $0 { reports.append(what) } }
            let id = poolA.add(String(repeating: "x", count: 100_001))
            guard let bytes = poolA.transactions[id] else { return }
            _ = try? await TransactionAnnouncementProtocol.announce(
                id, bytes, to: network.b.peerID, on: network.a)
            try await eventually { reports == [.malformed] }
            #expect(poolB.received.isEmpty)
            exchange.stop()
            await network.stop()
        }
    }

    @Test func contentThatNobodyAskedForIsNotRead() throws {
        #expect(try patience(after: [3, 0, 0, 200, 1]) < .seconds(1))
    }

    /// B accepts the stream and never reads it: A gives up, forgets its announcements to B, and tries again later.
    @Test func whoDoesNotReadIsForgotten() throws {
        try MemoryNetwork.run {
            var opened: [Duration] = []
            let network = try await Network { _, b in
                b.register(TransactionBatchProtocol.id) { _ in
                    opened.append(Reactor.now)
                    try? await Reactor.sleep(for: .seconds(10_000))
                }
            }
            let pool = Pool()
            let exchange = TransactionExchange(network.a, pool)
            exchange.start()
            exchange.peerReady(network.b.peerID)
            // More than the stream's window holds.
            let ids = (0..<20_000).map { Hash.sha256(of: Array("\($0)".utf8)) }
            exchange.announce(ids)
            try await eventually { opened.count == 1 }
            try await Reactor.sleep(for: .seconds(100))
            #expect(opened.count == 1)
            exchange.announce([ids[0]])
            try await eventually { opened.count == 2 }
            exchange.stop()
            await network.stop()
        }
    }

    /// Streams that B ends at once are opened less and less often.
    @Test func whoEndsStreamsAtOnceIsTriedLessOften() throws {
        try MemoryNetwork.run {
            var opened: [Duration] = []
            let network = try await Network { _, b in
                b.register(TransactionBatchProtocol.id) { stream in
                    opened.append(Reactor.now)
                    stream.close()
                }
            }
            let pool = Pool()
            let exchange = TransactionExchange(network.a, pool)
            exchange.start()
            exchange.peerReady(network.b.peerID)
            for number in 0..<3000 {
                exchange.announce([Hash.sha256(of: Array("\(number)".utf8))])
                try await Reactor.sleep(for: .milliseconds(100))
            }
            #expect((5...12).contains(opened.count), "\(opened.count)")
            exchange.stop()
            await network.stop()
        }
    }

    @Test func blocksOnlyEndsAnnouncementsAtOnceAndServesWhatItHas() throws {
        try MemoryNetwork.run {
            let (poolA, poolB) = (Pool(), Pool())
            let id = poolB.add("mined")
            var made: [TransactionExchange] = []
            let network = try await Network { a, b in
                made = [
                    TransactionExchange(a, poolA), TransactionExchange(b, poolB, isBlocksOnly: true),
                ]
                for exchange in made { exchange.start() }
            }
            made[0].peerReady(network.b.peerID)
            made[1].peerReady(network.a.peerID)
            let advertised = network.a.identity(of: network.b.peerID)?.protocols ?? []
            #expect(advertised.contains(TransactionAnnouncementProtocol.id))
            #expect(advertised.contains(KwilProtocol.blocksOnly))
            #expect(!advertised.contains(TransactionBatchProtocol.id))
            let other = Hash.sha256(of: [7])
            #expect(
                try await network.answer(
                    TransactionAnnouncementProtocol.id, to: Array("txann:\(other)".utf8)
                ).isEmpty)
            #expect(
                try await network.request(id)
                    == poolB.transactions[id])
            // Neither announces anything to the other.
            made[0].announce([poolA.add("waits")])
            made[1].announce([id])
            try await Reactor.sleep(for: .seconds(100))
            #expect(poolA.received.isEmpty)
            #expect(poolB.received.isEmpty)
            for exchange in made { exchange.stop() }
            await network.stop()
        }
    }

    @Test func pausedExchangeFetchesAfterwards() throws {
        try MemoryNetwork.run {
            let (poolA, poolB) = (Pool(), Pool())
            var made: [TransactionExchange] = []
            let network = try await Network { a, b in
                made = [TransactionExchange(a, poolA), TransactionExchange(b, poolB)]
                for exchange in made { exchange.start() }
            }
            made[0].peerReady(network.b.peerID)
            made[1].pause()
            let ids = (0..<100).map { poolA.add("transaction \($0)") }
            made[0].announce(ids)
            try await Reactor.sleep(for: .seconds(100))
            #expect(poolB.received.isEmpty)
            made[1].resume()
            try await eventually { poolB.received == ids }
            // It then goes on as before.
            let last = poolA.add("last")
            made[0].announce([last])
            try await eventually { poolB.received.last == last }
            for exchange in made { exchange.stop() }
            await network.stop()
        }
    }
}
