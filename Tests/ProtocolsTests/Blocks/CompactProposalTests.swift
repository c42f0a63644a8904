import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor
import TestSupport
import Testing
import VirtualIO

@testable import Protocols

/// Both ends of `/apus/blkprop/1.0.0`.
@Suite struct CompactProposalTests {
    /// A chain, the inbox of B, and what A proposes.
    @ReactorActor
    private final class Setting {
        let chain: TestChain
        let inbox: Inbox
        let network: Network
        var reports: [Misbehaviour] = []

        var hashed: HashedBlock { chain.links[0].hashed }
        var block: Block { hashed.block }
        var proposal: BlockProposal { BlockProposal(block, sender: chain.leader.publicKey) }

        init(transactions: Int, payload: Int = 0) async throws {
            let chain = try TestChain(2, payload: payload, transactions: { _ in transactions })
            let inbox = Inbox(chain.leader.publicKey)
            (self.chain, self.inbox) = (chain, inbox)
            network = try await Network { _, b in b.register(CompactProposalProtocol(inbox)) }
            network.b.observe { [weak self] in
                if case .misbehaved(_, let what) = $0 { self?.reports.append(what) }
            }
        }

        func announce(isPushed: Bool = true, lacking: [Int] = [], shares: BlockShares? = nil) async throws {
            try await CompactProposalProtocol.announce(
                proposal, CompactBlock(hashed), isPushed: isPushed, to: network.b.peerID, on: network.a,
                shares: shares, receiver: shares?.keepers[0]
            ) { lacking }
        }

        /// Opens a stream and sends a message with these short IDs, and `prefilled` with its length.
        func push(_ shortIDs: ShortIDs, prefilled: [UInt8] = [0, 0, 0, 0]) async throws -> LibP2P.Stream {
            let stream = try await network.stream(CompactProposalProtocol.id)
            try await stream.write(CompactBlock(hashed).head(proposal, isPushed: true))
            try await stream.write(shortIDs.bytes)
            try await stream.write(prefilled)
            return stream
        }

        func transactions(_ places: some Sequence<Int>) throws -> [Transaction] {
            try places.map { try hashed.transaction(at: $0) }
        }
    }

    private func run(
        transactions: Int = 40, _ body: @escaping @ReactorActor (Setting) async throws -> Void
    ) throws {
        try MemoryNetwork.run(latency: .milliseconds(5)) {
            let setting = try await Setting(transactions: transactions)
            try await body(setting)
            await setting.network.stop()
        }
    }

    @Test(arguments: [true, false])
    func onlyMissingTransactionsAreSent(isPushed: Bool) throws {
        try run { setting in
            setting.inbox.waiting = try setting.transactions(3..<38)
            try await setting.announce(isPushed: isPushed, lacking: [1, 39])
            try await eventually { setting.inbox.blocks == [setting.block] }
            // All but 3 to 37, which wait, and 1 and 39, which came unasked.
            #expect(setting.inbox.missing == 3)
            #expect(setting.reports == [])
        }
    }

    @Test func aBlockThatIsKnownTakesNoRoundTrip() throws {
        try run { setting in
            setting.inbox.waiting = try setting.transactions(0..<40)
            let stream = try await setting.push(CompactBlock(setting.hashed).shortIDs)
            #expect(try await stream.read(upTo: 1) == [])
            #expect(setting.inbox.blocks == [setting.block])
        }
    }

    @Test func aBlockWithoutTransactionsIsItsHeader() throws {
        try run(transactions: 0) { setting in
            try await setting.announce()
            try await eventually { setting.inbox.blocks == [setting.block] }
        }
    }

    @Test func allTransactionsCanBeMissing() throws {
        try run(transactions: 400) { setting in
            try await setting.announce()
            try await eventually { setting.inbox.blocks == [setting.block] }
            #expect(setting.inbox.missing == 400)
        }
    }

    @Test func whoDoesNotWantItReadsNothing() throws {
        try run { setting in
            setting.inbox.wants = false
            try? await setting.announce(isPushed: false)
            try? await setting.announce(isPushed: true)
            #expect(setting.inbox.blocks.isEmpty)
            #expect(setting.reports == [])
        }
    }

    /// A transaction in the mempool with the short ID of another one looks the same to the receiver, until it has the block.
    @Test func wrongShortIDsAreProvenByTheBlock() throws {
        try run(transactions: 5) { setting in
            let other = setting.chain.links[1].hashed
            var ids = setting.hashed.transactionIDs
            ids[2] = other.transactionIDs[2]
            setting.inbox.waiting =
                try setting.transactions([0, 1, 3, 4]) + [try other.transaction(at: 2)]
            let stream = try await setting.push(ShortIDs(of: ids, in: setting.block.hash))
            #expect(try await stream.read(upTo: 1) == [CompactProposalProtocol.Request.block.rawValue])
            #expect(setting.reports == [])
            try await stream.write(setting.block.bytes)
            stream.closeWrite()
            try await eventually { setting.inbox.blocks == [setting.block] }
            try await eventually { setting.reports == [.wrongContent] }
        }
    }

    @Test func anotherTransactionThanListedIsALie() throws {
        try run(transactions: 3) { setting in
            let shortIDs = CompactBlock(setting.hashed).shortIDs
            let other = setting.chain.links[1].block.transactions[0]
            let stream = try await setting.push(shortIDs)
            setting.inbox.waiting = try setting.transactions([1, 2])
            #expect(try await stream.readExactly(3) == [1, 0, 0b001])
            try await stream.write([0] + Self.entry(0, other))
            try await eventually { setting.reports == [.wrongContent] }
            // Unasked, at place 0.
            var content = ByteWriter()
            content.put(u32: UInt32(other.count + 3))
            content.put(u8: 0)
            content.put(uvarint: UInt64(other.count))
            content.put(bytes: other)
            _ = try await setting.push(shortIDs, prefilled: content.bytes)
            try await eventually { setting.reports == [.wrongContent, .wrongContent] }
            #expect(setting.inbox.blocks.isEmpty)
        }
    }

    @Test func whatIsTooLargeIsNotRead() throws {
        try run(transactions: 3) { setting in
            let shortIDs = CompactBlock(setting.hashed).shortIDs
            var prefilled = ByteWriter()
            prefilled.put(u32: UInt32(CompactBlock.prefilledBytes + 1))
            let stream = try await setting.push(shortIDs, prefilled: prefilled.bytes)
            await #expect(throws: LibP2PError.self) { _ = try await stream.read(upTo: 1) }
            #expect(setting.reports == [.malformed])
            // More than the rest of the largest block.
            let answered = try await setting.push(shortIDs)
            #expect(try await answered.readExactly(3) == [1, 0, 0b111])
            try await answered.write([0, 2, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF])
            await #expect(throws: LibP2PError.self) { _ = try await answered.read(upTo: 1) }
            #expect(setting.inbox.failures.count == 2)
        }
    }

    @Test func aHeaderIsThatOfTheProposal() throws {
        try run(transactions: 1) { setting in
            let other = CompactBlock(setting.chain.links[1].hashed)
            let stream = try await setting.network.stream(CompactProposalProtocol.id)
            try await stream.write(other.head(setting.proposal, isPushed: true))
            await #expect(throws: LibP2PError.self) { _ = try await stream.read(upTo: 1) }
            #expect(setting.reports == [.wrongContent])
            #expect(setting.inbox.proposals.isEmpty)
        }
    }

    @Test func aSenderAnswersOnlyWhatItHasAnnounced() throws {
        try run(transactions: 3) { setting in
            let requests: [[UInt8]] = [
                [3], [1, 0, 0], [1, 0, 0b1000], [1, 4, 0b001], [1, 0, 0b001, 1, 0, 0b010], [1, 0, 0b001, 1],
            ]
            for request in requests {
                var seen: ProtocolsError?
                let receiver = setting.network.b
                receiver.unregister([CompactProposalProtocol.id])
                receiver.register(CompactProposalProtocol.id) { stream in
                    try await stream.write(request)
                    _ = try await stream.readToEnd(limit: 1 << 20)
                }
                do {
                    try await setting.announce()
                } catch let error as ProtocolsError {
                    seen = error
                }
                #expect(seen != nil, "\(request)")
            }
        }
    }

    // MARK: Shares

    private static func entry(_ place: Int, _ transaction: SharedBytes) -> [UInt8] {
        var writer = ByteWriter()
        writer.put(u32: UInt32(place))
        writer.put(u32: UInt32(transaction.count))
        writer.put(bytes: transaction)
        return writer.bytes
    }

    /// B and a stranger, the keepers of a block that is too large for the leader to send it to each.
    private static func keepers() throws -> BlockShares {
        try #require(BlockShares(try PlaceSet(decoding: [0b11], capacity: 2)))
    }

    @Test(arguments: [(payload: 1_000, sent: 40), (payload: 30_000, sent: 20)])
    func ofMuchTheLeaderSendsOnlyTheShare(payload: Int, sent: Int) throws {
        try MemoryNetwork.run(latency: .milliseconds(5)) {
            let setting = try await Setting(transactions: 40, payload: payload)
            let receiver = setting.network.b
            receiver.unregister([CompactProposalProtocol.id])
            var answers: [[UInt8]] = []
            receiver.register(CompactProposalProtocol.id) { stream in
                let (compact, proposal) = (CompactBlock(setting.hashed), setting.proposal)
                let head = compact.head(proposal, isPushed: true).count + compact.shortIDs.bytes.count + 4
                _ = try await stream.readShared(head)
                try await stream.write([1, 1] + [UInt8](repeating: 0xFF, count: 5))
                stream.closeWrite()
                answers.append(try await stream.readToEnd(limit: 4 << 20))
            }
            try await setting.announce(shares: try Self.keepers())
            try await eventually { answers.count == 1 }
            let places = sent == 40 ? Array(0..<40) : Array(stride(from: 0, to: 40, by: 2))
            let entries = places.flatMap { Self.entry($0, setting.block.transactions[$0]) }
            // The bitmap with its length, a varint in zigzag form.
            let keepers: [UInt8] = sent == 40 ? [0] : [2, 0b11]
            #expect(answers[0] == keepers + entries + [0xFF, 0xFF, 0xFF, 0xFF])
            await setting.network.stop()
        }
    }

    /// The leader sends B its share, B asks the other keeper, which is not there, and then the leader again.
    @Test func theLeaderSendsWhatNobodyPassesOn() throws {
        try MemoryNetwork.run(latency: .milliseconds(5)) {
            let setting = try await Setting(transactions: 40, payload: 30_000)
            let absent = try Network.key(9).publicKey.peerID
            setting.inbox.keepers = BlockKeepers(
                [setting.network.b.peerID, absent], own: 0, host: setting.network.b)
            try await setting.announce(shares: try Self.keepers())
            try await eventually { setting.inbox.blocks == [setting.block] }
            #expect(setting.reports == [])
            await setting.network.stop()
        }
    }

    @Test func keepersAreValidatorsAndBOneOfThem() throws {
        try run(transactions: 3) { setting in
            let others = try [Network.key(8), Network.key(9)].map(\.publicKey.peerID)
            setting.inbox.keepers = BlockKeepers(
                [setting.network.b.peerID] + others, own: 0, host: setting.network.b)
            let bitmaps: [[UInt8]] = [[2, 0b110], [2, 0b1001], [2, 0b001], [4, 0b11, 0], [1]]
            for (number, bitmap) in bitmaps.enumerated() {
                let stream = try await setting.push(CompactBlock(setting.hashed).shortIDs)
                #expect(try await stream.readExactly(3) == [1, 1, 0b111])
                try await stream.write(bitmap)
                await #expect(throws: LibP2PError.self, "\(bitmap)") { _ = try await stream.read(upTo: 1) }
                #expect(setting.inbox.failures.count == number + 1)
            }
        }
    }

    /// What the leader sends may have come from a late keeper since it was requested.
    @Test func aLateKeeperMayBeFasterThanTheLeader() throws {
        try run(transactions: 3) { setting in
            let (a, b) = (setting.network.a, setting.network.b)
            let transactions = setting.block.transactions
            setting.inbox.keepers = BlockKeepers([b.peerID, a.peerID], own: 0, host: b)
            var isLateOneSent = false
            a.register(BlockShareProtocol.id) { stream in
                try await Reactor.sleep(for: .seconds(1))
                try await stream.write(Self.entry(1, transactions[1]))
                isLateOneSent = true
                try await Reactor.sleep(for: .seconds(1))
            }
            try await eventually {
                b.identity(of: a.peerID)?.protocols.contains(BlockShareProtocol.id) == true
            }
            let stream = try await setting.push(CompactBlock(setting.hashed).shortIDs)
            #expect(try await stream.readExactly(3) == [1, 1, 0b111])
            let end = [UInt8](repeating: 0xFF, count: 4)
            try await stream.write(
                [2, 0b11] + Self.entry(0, transactions[0]) + Self.entry(2, transactions[2]) + end)
            #expect(try await stream.readExactly(3) == [1, 2, 0b010])
            try await eventually { isLateOneSent }
            try await Reactor.sleep(for: .milliseconds(100))
            try await stream.write([0] + Self.entry(1, transactions[1]) + end)
            try await eventually { setting.inbox.blocks == [setting.block] }
            #expect(setting.reports == [])
        }
    }
}
