import Bytes
import Chain
import Collections
import Crypto
import LibP2P
import Multiformats
import Reactor
import TestSupport
import Testing

@testable import Protocols

/// Ranges of blocks: what an honest server sends, and what a dishonest one does that is refused.
@Suite struct BlockRangeTests {
    static let patience = BlockRangeProtocol.Patience(answer: .seconds(20), idle: .seconds(20))

    /// Requests a range from B and collects the blocks.
    @ReactorActor
    private func ask(
        _ network: Network, _ request: BlockRangeRequest, sizes: BlockSizes = .largest,
        patience: BlockRangeProtocol.Patience = patience
    ) async throws -> ([RangeBlock], BlockRangeEnd) {
        var blocks: [RangeBlock] = []
        let end = try await BlockRangeProtocol.request(
            request, from: network.b.peerID, on: network.a, sizes: sizes, patience: patience
        ) { piece in
            if case .blocks(let some) = piece { blocks += some }
        }
        return (blocks, end)
    }

    @ReactorActor
    private func network(_ blocks: Blocks) async throws -> Network {
        try await Network { _, b in
            b.register(BlockRangeProtocol(blocks))
        }
    }

    /// A network in which B answers every request with these bytes.
    @ReactorActor
    private func liar(_ answer: [UInt8], staysOpen: Bool = false) async throws -> Network {
        try await Network { _, b in
            b.register(BlockRangeProtocol.id) { stream in
                _ = try? await stream.readExactly(17)
                try? await stream.write(answer)
                if staysOpen { try? await Reactor.sleep(for: .seconds(60)) }
            }
        }
    }

    @ReactorActor
    private func failure(
        _ answer: [UInt8], patience: BlockRangeProtocol.Patience = patience, staysOpen: Bool = false
    ) async throws -> ProtocolsError? {
        let network = try await liar(answer, staysOpen: staysOpen)
        defer { Reactor.spawn { await network.stop() } }
        do {
            _ = try await ask(
                network, BlockRangeRequest(first: 1, count: 2, bytes: 1 << 20, allowsLZ4: true),
                patience: patience)
            return nil
        } catch {
            return error as? ProtocolsError
        }
    }

    @Test(arguments: [true, false]) func manyBlocksInOneStream(lz4: Bool) async throws {
        try await Reactor.run {
            let chain = try TestChain(heights: 150, transactions: 3)
            let source = Blocks(chain)
            let network = try await network(source)
            let (blocks, end) = try await ask(
                network, BlockRangeRequest(first: 11, count: 130, bytes: 1 << 24, allowsLZ4: lz4))
            #expect(blocks.map(\.height) == Array(11...140))
            for block in blocks {
                let fetched = try block.decoded()
                let link = chain.links[Int(block.height) - 1]
                let (expected, info) = (link.block, link.commitInfo)
                #expect(fetched.block == expected)
                #expect(fetched.commitInfo == info)
            }
            #expect(blocks.contains(where: \.isCompressed) == lz4)
            #expect(end == BlockRangeEnd(reason: .done, bestHeight: 150))
            #expect(source.servings == 0)
            await network.stop()
        }
    }

    @Test func largeBlocksAreNotGathered() async throws {
        try await Reactor.run {
            let chain = try TestChain(heights: 3, transactions: 400)
            let network = try await network(Blocks(chain))
            let (blocks, end) = try await ask(
                network, BlockRangeRequest(first: 1, count: 3, bytes: 1 << 24, allowsLZ4: false))
            #expect(try blocks.map { try $0.decoded().block } == chain.links.map(\.block))
            #expect(end.reason == .done)
            await network.stop()
        }
    }

    @Test func endsAtTheBudgetTheTipAndWhenOthersWait() async throws {
        try await Reactor.run {
            let chain = try TestChain(heights: 100, transactions: 2)
            let source = Blocks(chain)
            let network = try await network(source)
            func count(_ first: Int64, _ count: Int, _ bytes: Int) async throws -> (Int, BlockRangeEnd.Reason)
            {
                let (blocks, end) = try await ask(
                    network, BlockRangeRequest(first: first, count: count, bytes: bytes, allowsLZ4: false))
                #expect(end.bestHeight == 100)
                return (blocks.count, end.reason)
            }
            #expect(try await count(1, 50, 1) == (1, .done))
            #expect(try await count(99, 50, 1 << 20) == (2, .lacks))
            #expect(try await count(101, 1, 1 << 20) == (0, .lacks))
            for height in [0, -5, .max] as [Int64] { #expect(try await count(height, 3, 100) == (0, .lacks)) }
            source.yields = true
            #expect(try await count(1, 100, 1 << 24) == (64, .busy))
            source.isBusy = true
            #expect(try await count(1, 100, 1 << 24) == (0, .busy))
            #expect(source.servings == 0)
            await network.stop()
        }
    }

    @Test func aBusyServerOfSingleBlocksSaysSo() async throws {
        try await Reactor.run {
            let source = Blocks(try TestChain(heights: 1))
            source.isBusy = true
            let network = try await Network { _, b in
                b.register(BlockProtocol(source))
                b.register(BlockHeightProtocol(source))
            }
            func isBusy(_ body: () async throws -> Void) async -> Bool {
                do { try await body() } catch ProtocolsError.busy { return true } catch {}
                return false
            }
            #expect(
                await isBusy {
                    _ = try await BlockHeightProtocol.request(
                        1, from: network.b.peerID, on: network.a, sizes: .largest)
                })
            #expect(
                await isBusy {
                    _ = try await BlockProtocol.request(
                        .zero, from: network.b.peerID, on: network.a, sizes: .largest)
                })
            await network.stop()
        }
    }

    @Test func requestsOutOfBoundsAreReset() async throws {
        try await Reactor.run {
            let network = try await network(Blocks(try TestChain(heights: 2)))
            func request(_ count: UInt32, _ bytes: UInt32, _ flags: UInt8) -> [UInt8] {
                var writer = ByteWriter()
                writer.put(i64: 1)
                writer.put(u32: count)
                writer.put(u32: bytes)
                writer.put(u8: flags)
                return writer.bytes
            }
            let wrong: [[UInt8]] = [
                request(0, 100, 0), request(1025, 100, 0), request(1, 0, 0), request(1, .max, 0),
                request(1, 100, 2),
            ]
            for message in wrong {
                await #expect(throws: LibP2PError.self) {
                    _ = try await network.answer(BlockRangeProtocol.id, to: message)
                }
            }
            #expect(try await network.answer(BlockRangeProtocol.id, to: request(1, 100, 0)).count > 22)
            await network.stop()
        }
    }

    private func header(
        _ height: Int64, _ lengths: (UInt32, UInt32, UInt32), flags: UInt8 = 0
    ) -> [UInt8] {
        var writer = ByteWriter()
        writer.put(u8: 1)
        writer.put(u8: flags)
        writer.put(i64: height)
        for length in [lengths.0, lengths.1, lengths.2] { writer.put(u32: length) }
        return writer.bytes
    }

    @Test func whatNoServerMaySendIsALie() async throws {
        try await Reactor.run {
            let giant = UInt32(ChainLimits.blockBytes)
            let block = self.header(1, (0, 1, 1)) + [0]
            let answers: [[UInt8]] = [
                block + [7] + [UInt8](repeating: 0, count: 21),
                // An end, and something after it.
                block + [UInt8](repeating: 0, count: 22),
                [7] + [UInt8](repeating: 0, count: 21),
                [0, 9] + [UInt8](repeating: 0, count: 8),
                self.header(2, (0, 1, 1)), self.header(-1, (0, 1, 1)),
                self.header(1, (0, giant + 1, giant + 1)), self.header(1, (.max, 1, 1)),
                self.header(1, (0, 10, 11)), self.header(1, (0, 10, 10), flags: 1),
                self.header(1, (0, 10, 0), flags: 1), self.header(1, (0, 10, 5), flags: 2),
            ]
            for answer in answers {
                let failure = try await self.failure(answer)
                #expect(failure.flatMap(Misbehaviour.ofResponder) == .wrongContent, "\(answer)")
            }
            let third = (1...3).flatMap { self.header(Int64($0), (0, 1, 1)) + [0] }
            let failure = try await self.failure(third)
            #expect(failure.flatMap(Misbehaviour.ofResponder) == .wrongContent, "more than was requested")
        }
    }

    @Test func aBlockThatTheChainDoesNotAllowIsNotRead() async throws {
        try await Reactor.run {
            var parameters = NetworkParameters(leader: nil)
            parameters.maxBlockSize = 100_000
            let sizes = BlockSizes(parameters, validators: 3)
            let over = UInt32(sizes.block + 1)
            let network = try await self.liar(self.header(1, (0, over, over)), staysOpen: true)
            defer { Reactor.spawn { await network.stop() } }
            await #expect(throws: ProtocolsError.self) {
                _ = try await self.ask(
                    network, BlockRangeRequest(first: 1, count: 2, bytes: 1 << 20, allowsLZ4: true),
                    sizes: sizes)
            }
        }
    }

    @Test func whatEndsOrStallsIsAFailureOfTheWay() async throws {
        try await Reactor.run {
            let short = BlockRangeProtocol.Patience(answer: .milliseconds(50), idle: .milliseconds(50))
            let begun = self.header(1, (0, 1000, 1000)) + [1, 2, 3]
            func isExcused(_ failure: ProtocolsError?) throws -> Bool {
                Misbehaviour.ofResponder(try #require(failure)) == nil
            }
            #expect(try await isExcused(self.failure(begun)))
            #expect(try await isExcused(self.failure(begun, patience: short, staysOpen: true)))
            #expect(try await isExcused(self.failure([], patience: short, staysOpen: true)))
            guard case .busy? = try await self.failure([]) else {
                Issue.record("closing without an answer means to come back later")
                return
            }
        }
    }

    @Test func compressionIsBoundedByWhatWasAnnounced() throws {
        let text = SharedBytes([UInt8](repeating: 7, count: 100_000))
        let compressed = try #require(LZ4.compress(text))
        #expect(compressed.count < 1000)
        #expect(LZ4.decompress(compressed, count: 100_000) == text)
        for count in [99_999, 100_001, 1, 0, -1, Int(Int32.max), .max] {
            #expect(LZ4.decompress(compressed, count: count) == nil, "\(count)")
        }
        var generator = SeededGenerator(seed: 3)
        #expect(LZ4.compress(SharedBytes(generator.bytes(4096))) == nil, "it is not worthwhile")
        #expect(LZ4.compress(SharedBytes([UInt8](repeating: 0, count: LZ4.least - 1))) == nil)
        for _ in 0..<2000 {
            var damaged = compressed.array
            let place = Int(generator.next() % UInt64(damaged.count))
            damaged[place] = UInt8(truncatingIfNeeded: generator.next())
            if let bytes = LZ4.decompress(SharedBytes(damaged), count: 100_000) {
                #expect(bytes.count == 100_000)
            }
        }
    }
}
