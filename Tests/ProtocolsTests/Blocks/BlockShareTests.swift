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

/// Both ends of `/apus/blkshare/1.0.0`.
@Suite struct BlockShareTests {
    /// A block that arrives at B, of which A wants transactions.
    @ReactorActor
    private final class Setting {
        let hashed: HashedBlock
        let inbox = Inbox(nil)
        let network: Network
        var got: [Int] = []
        var isAnswered = false

        var hash: Hash { hashed.block.hash }

        init(_ transactions: Int) async throws {
            hashed = try TestChain(1, payload: 20_000, transactions: { _ in transactions }).links[0].hashed
            let inbox = inbox
            network = try await Network { _, b in b.register(BlockShareProtocol(inbox)) }
        }

        func arriving() throws -> ArrivingBlock {
            let compact = CompactBlock(hashed)
            let assembly = try BlockAssembly(
                hashed.block.header, signature: hashed.block.signature, shortIDs: compact.shortIDs,
                prefilled: SharedBytes())
            return ArrivingBlock(assembly, hash, height: hashed.block.height)
        }

        func request(_ places: [Int]) async throws {
            var wanted = PlaceSet(capacity: hashed.block.transactions.count)
            for place in places { wanted[place] = true }
            try await BlockShareProtocol.request(
                wanted, of: hash, from: network.b.peerID, on: network.a, limit: 1 << 20, inbox
            ) { [self] in
                for placed in $0 where placed.bytes == hashed.block.transactions[placed.place] {
                    got.append(placed.place)
                }
            }
        }

        func startRequest(_ places: [Int]) {
            Reactor.spawn {
                try? await self.request(places)
                self.isAnswered = true
            }
        }

        func placed(_ places: Int...) -> [PlacedTransaction] {
            places.map { PlacedTransaction(hashed.block.transactions[$0], at: $0) }
        }
    }

    private func run(_ body: @escaping @ReactorActor (Setting) async throws -> Void) throws {
        try MemoryNetwork.run(latency: .milliseconds(5)) {
            let setting = try await Setting(12)
            try await body(setting)
            await setting.network.stop()
        }
    }

    /// The request comes before the proposal.
    @Test func transactionsArePassedOnAsTheyCome() throws {
        try run { setting in
            setting.startRequest([1, 4, 7, 10])
            try await Reactor.sleep(for: .milliseconds(100))
            let block = try setting.arriving()
            setting.inbox.arrivingBlocks.add(block)
            try block.take(setting.placed(7, 2), fromKeeper: true)
            try await eventually { setting.got == [7] }
            try block.take(setting.placed(3, 10, 7), fromKeeper: false)
            try await eventually { setting.got == [7, 10] }
            #expect(block.bytesFromKeepers > 40_000 && block.bytesFromKeepers < 41_000)
            setting.inbox.arrivingBlocks.complete(setting.hashed)
            try await eventually { setting.isAnswered }
            #expect(setting.got == [7, 10, 1, 4])
        }
    }

    @Test func aWholeBlockIsPassedOnAtOnce() throws {
        try run { setting in
            setting.inbox.arrivingBlocks.complete(setting.hashed)
            try await setting.request([0, 11])
            #expect(setting.got == [0, 11])
        }
    }

    @Test func anArrivalThatFailsEndsTheAnswer() throws {
        try run { setting in
            let block = try setting.arriving()
            setting.inbox.arrivingBlocks.add(block)
            try block.take(setting.placed(5), fromKeeper: false)
            setting.startRequest([5, 6])
            try await eventually { setting.got == [5] }
            setting.inbox.arrivingBlocks.end(setting.hash)
            try await eventually { setting.isAnswered }
            #expect(setting.got == [5])
        }
    }

    @Test func anUnknownBlockIsWaitedForASecond() throws {
        try run { setting in
            let began = Reactor.now
            await #expect(throws: ProtocolsError.self) { try await setting.request([0]) }
            #expect(Reactor.now - began >= ArrivingBlocks.patience)
            #expect(Reactor.now - began < ArrivingBlocks.patience * 2)
            #expect(setting.inbox.arrivingBlocks.requestCount == 0)
        }
    }

    @Test func aPeerHasAsManyRequestsAsThereAreRounds() throws {
        try run { setting in
            setting.inbox.arrivingBlocks.add(try setting.arriving())
            var streams: [LibP2P.Stream] = []
            for number in 0...BlockShares.rounds {
                let stream = try await setting.network.stream(BlockShareProtocol.id)
                try await stream.write(setting.hash.array + [4, 0b1, 0])
                streams.append(stream)
                try await eventually {
                    setting.inbox.arrivingBlocks.requestCount == min(number + 1, BlockShares.rounds)
                }
            }
            #expect(try await streams[BlockShares.rounds].read(upTo: 1) == [])
            setting.inbox.arrivingBlocks.remove(upTo: .max)
            try await eventually { setting.inbox.arrivingBlocks.requestCount == 0 }
            #expect(setting.inbox.arrivingBlocks.count == 0)
        }
    }

    /// A bitmap of another size, one with places that do not exist, and one that is too long for any block.
    @Test(arguments: [[2, 1], [4, 0, 0x10], [0x80, 0x80, 0x80, 0x08]] as [[UInt8]])
    func aRequestNamesTransactionsOfTheBlock(bitmap: [UInt8]) throws {
        try run { setting in
            setting.inbox.arrivingBlocks.add(try setting.arriving())
            let stream = try await setting.network.stream(BlockShareProtocol.id)
            try await stream.write(setting.hash.array + bitmap)
            await #expect(throws: LibP2PError.self) { _ = try await stream.read(upTo: 1) }
        }
    }

    /// What was not requested, one twice, and more than fits.
    @Test func answersAreBounded() throws {
        try run { setting in
            func entry(_ place: UInt32, _ count: UInt32) -> [UInt8] {
                var writer = ByteWriter()
                writer.put(u32: place)
                writer.put(u32: count)
                return writer.bytes
            }
            let short = entry(1, 0)
            for answer in [entry(0, 0), entry(12, 0), short + short, entry(1, 1 << 20 + 1), entry(1, .max)] {
                setting.network.b.unregister([BlockShareProtocol.id])
                setting.network.b.register(BlockShareProtocol.id) { try await $0.write(answer) }
                await #expect(throws: ProtocolsError.self, "\(answer)") { try await setting.request([1]) }
            }
            #expect(setting.got == [])
        }
    }

    @Test func onlyAFewBlocksAreKept() throws {
        try run { setting in
            let chain = try TestChain(ArrivingBlocks.capacity + 2)
            for link in chain.links { setting.inbox.arrivingBlocks.complete(link.hashed) }
            #expect(setting.inbox.arrivingBlocks.count == ArrivingBlocks.capacity)
            setting.inbox.arrivingBlocks.remove(upTo: chain.links[3].hashed.block.height)
            #expect(setting.inbox.arrivingBlocks.count == 2)
        }
    }

    @Test func whoLetsANodeDownIsNotAskedForAWhile() throws {
        try run { setting in
            let (blocks, peer) = (setting.inbox.arrivingBlocks, setting.network.a.peerID)
            #expect(blocks.relies(on: peer))
            blocks.letDown(by: peer)
            #expect(!blocks.relies(on: peer))
            try await Reactor.sleep(for: ArrivingBlocks.punishment)
            #expect(blocks.relies(on: peer))
        }
    }
}
