import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Protocols
import Reactor
import TestSupport
import Testing

extension TestChain {
    /// A chain of blocks with this many transactions each.
    init(heights: Int, transactions: Int = 1) throws {
        try self.init(heights, transactions: { _ in transactions })
    }
}

@ReactorActor
final class Blocks: BlockSource {
    let chain: TestChain

    /// Whether every peer is told to come back later.
    var isBusy = false
    /// Whether a turn should end after the first blocks that were read together.
    var yields = false
    private(set) var servings = 0
    private(set) var mostServings = 0

    init(_ chain: TestChain) { self.chain = chain }

    func blocks(from height: Int64, count: Int, bytes: Int, compressing: Bool) async -> [RangeBlock] {
        var blocks: [RangeBlock] = []
        var size = 0
        while blocks.count < count, size < bytes, let next = await block(height: height + Int64(blocks.count))
        {
            size += next.block.count
            blocks.append(RangeBlock(next, compressing: compressing))
        }
        return blocks
    }

    func beginServing(_ stream: LibP2P.Stream, _ kind: ServedBlocks) async -> Int? {
        guard !isBusy else { return nil }
        servings += 1
        mostServings = max(mostServings, servings)
        return servings
    }

    func endServing(_ turn: Int) { servings -= 1 }
    func shouldYield(_ turn: Int) -> Bool { yields }

    var bestHeight: Int64 { Int64(chain.links.count) }

    func block(height: Int64) async -> ServedBlock? {
        guard height >= 1, height <= bestHeight else { return nil }
        let link = chain.links[Int(height) - 1]
        let (block, info) = (link.block, link.commitInfo)
        return ServedBlock(
            height: height, hash: block.hash, block: block.bytes, commitInfo: SharedBytes(info.bytes))
    }

    func block(hash: Hash) async -> ServedBlock? {
        guard let found = chain.links.first(where: { $0.block.hash == hash }) else { return nil }
        return await block(height: found.block.height)
    }
}

@Suite struct BlockProtocolTests {
    @ReactorActor
    private func network(_ chain: TestChain, best: Bool = true) async throws -> Network {
        let blocks = Blocks(chain)
        return try await Network { _, b in
            b.register(BlockProtocol(blocks))
            b.register(BlockHeightProtocol(blocks))
            if !best { b.unregister([BlockHeightProtocol.idWithBest]) }
        }
    }

    @Test func blockByHash() async throws {
        try await Reactor.run {
            let chain = try TestChain(heights: 2)
            let network = try await network(chain)
            let link = chain.links[1]
            let (block, info) = (link.block, link.commitInfo)
            let found = try await BlockProtocol.request(
                block.hash, from: network.b.peerID, on: network.a, sizes: .largest)
            #expect(found?.block == block)
            #expect(found?.commitInfo == info)
            let none = try await BlockProtocol.request(
                .zero, from: network.b.peerID, on: network.a, sizes: .largest)
            #expect(none == nil)

            var binary = ByteWriter()
            binary.put(i64: 2)
            let text = binary.bytes + block.bytes.array
            binary.put(varint: Int64(info.bytes.count))
            binary.put(bytes: info.bytes)
            binary.put(varint: Int64(block.bytes.count))
            binary.put(bytes: block.bytes)
            func answer(_ request: [UInt8]) async throws -> [UInt8] {
                try await network.answer(BlockProtocol.id, to: request)
            }
            #expect(try await answer(block.hash.array) == binary.bytes)
            #expect(try await answer(Array("getblk:\(block.hash)".utf8)) == text)
            #expect(try await answer(Array("getblk:\(Hash.zero)".utf8)) == Array("0".utf8))
            #expect(try await answer(Hash.zero.array) == [0])
            await network.stop()
        }
    }

    @Test(arguments: [true, false]) func blockByHeight(best: Bool) async throws {
        try await Reactor.run {
            let chain = try TestChain(heights: 3)
            let network = try await network(chain, best: best)
            for height in 1...3 as ClosedRange<Int64> {
                let answer = try await BlockHeightProtocol.request(
                    height, from: network.b.peerID, on: network.a, sizes: .largest)
                #expect(answer.found?.block == chain.links[Int(height) - 1].block)
                #expect(answer.found?.commitInfo == chain.links[Int(height) - 1].commitInfo)
                #expect(answer.bestHeight == (best ? 3 : nil))
            }
            for height in [0, 4, -1, .max] as [Int64] {
                let answer = try await BlockHeightProtocol.request(
                    height, from: network.b.peerID, on: network.a, sizes: .largest)
                #expect(answer.found == nil)
                #expect(answer.bestHeight == (best ? 3 : nil))
            }
            await network.stop()
        }
    }

    @Test func heightInText() async throws {
        try await Reactor.run {
            let chain = try TestChain(heights: 1)
            let network = try await network(chain)
            func answer(_ request: String) async throws -> [UInt8] {
                try await network.answer(BlockHeightProtocol.id, to: Array(request.utf8))
            }
            let link = chain.links[0]
            let (block, info) = (link.block, link.commitInfo)
            var expected = ByteWriter()
            expected.put(u8: 1)
            expected.put(bytes: block.hash)
            for part in [info.bytes, block.bytes.array] {
                expected.put(varint: Int64(part.count))
                expected.put(bytes: part)
            }
            expected.put(i64: 1)
            #expect(try await answer("getblkheight:1") == expected.bytes)
            #expect(try await answer("getblkheight:2") == Array("0".utf8))
            await #expect(throws: LibP2PError.self) { _ = try await answer("getblkheight:x") }
            await network.stop()
        }
    }

    @Test func anotherBlockIsRefused() async throws {
        try await Reactor.run {
            let chain = try TestChain(heights: 2)
            let network = try await Network { _, b in
                // It answers with block 1, whatever the height.
                b.register(BlockHeightProtocol.idWithBest) { stream in
                    _ = try? await stream.readExactly(8)
                    var answer = ByteWriter()
                    answer.put(u8: 1)
                    answer.put(bytes: chain.links[0].block.hash)
                    for part in [chain.links[0].commitInfo.bytes, chain.links[0].block.bytes.array] {
                        answer.put(varint: Int64(part.count))
                        answer.put(bytes: part)
                    }
                    answer.put(i64: 2)
                    try? await stream.write(answer.bytes)
                }
                // It announces more than the limit.
                b.register(BlockProtocol.id) { stream in
                    _ = try? await stream.readExactly(32)
                    var answer = ByteWriter()
                    answer.put(i64: 2)
                    answer.put(varint: .max)
                    try? await stream.write(answer.bytes)
                }
            }
            do {
                _ = try await BlockHeightProtocol.request(
                    2, from: network.b.peerID, on: network.a, sizes: .largest)
                Issue.record("accepted")
            } catch {
                #expect((error as? ProtocolsError).flatMap(Misbehaviour.ofResponder) == .wrongContent)
            }
            do {
                _ = try await BlockProtocol.request(
                    .zero, from: network.b.peerID, on: network.a, sizes: .largest)
                Issue.record("accepted")
            } catch {
                #expect((error as? ProtocolsError).flatMap(Misbehaviour.ofResponder) == .wrongContent)
            }
            await network.stop()
        }
    }
}
