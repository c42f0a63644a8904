import Chain
import Reactor
import Storage
import TestSupport
import Testing

@testable import Node

/// Reading the chain from memory and from the log.
@Suite struct ChainReaderTests {
    private let directory: TemporaryDirectory
    private let store: BlockStore
    private let reader: ChainReader
    private let worker = Worker(name: "reader", capacity: 8)

    init() throws {
        directory = try TemporaryDirectory()
        store = try BlockStore(directory: directory.path)
        reader = ChainReader(store)
    }

    /// Appends a chain's blocks; Memory gets those whose heights `kept` accepts.
    private func append(_ chain: TestChain, kept: (Int64) -> Bool = { _ in true }) throws {
        for link in chain.links {
            let stored = try store.append(link.hashed, link.commitInfo, link.results)
            if kept(stored.height) { reader.appended(stored) }
        }
    }

    @Test func recentBlocksComeFromMemoryAndOthersFromTheLog() async throws {
        let chain = try TestChain(ChainReader.recentCount + 4)
        try append(chain)
        for (index, link) in chain.links.enumerated() {
            let origin: ChainReader.Origin = index < 4 ? .log : .memory
            let byHeight = try #require(try await reader.block(at: link.block.height, on: worker))
            #expect(byHeight.from == origin && byHeight.block.block == link.block.bytes)
            let byHash = try #require(try await reader.block(hash: link.block.hash, on: worker))
            #expect(byHash.from == origin && byHash.block.height == link.block.height)
        }
        #expect(try await reader.block(at: 0, on: worker)?.block.height == Int64(chain.links.count))
        let all = try await reader.blocks(from: 1, count: 100, bytes: .max, on: worker) { $0.height }
        #expect(all == chain.links.map(\.block.height))
        worker.stop()
    }

    /// Only `block(at:)` takes a height of 0 for the newest.
    @Test func heightsThatNoBlockHasAreEmptyRanges() async throws {
        try append(try TestChain(3))
        for height in [Int64.min, -1, 0, 4, .max] {
            let found = try await reader.blocks(from: height, count: 4, bytes: .max, on: worker) { $0.height }
            #expect(found.isEmpty, "from \(height)")
        }
        #expect(try await reader.block(at: 4, on: worker) == nil)
        #expect(try await reader.block(at: .max, on: worker) == nil)
        worker.stop()
    }

    @Test func memoryIsBoundedAndHasNoGaps() async throws {
        let chain = try TestChain(9, payload: 4 << 20) { _ in 1 }
        try append(chain) { $0 != 2 }
        #expect(reader.held.count == 4)
        #expect(reader.held.bytes <= ChainReader.recentBytes + (5 << 20))
        #expect(try await reader.block(at: 1, on: worker)?.from == .log)
        #expect(try await reader.block(at: 2, on: worker)?.from == .log)
        #expect(try await reader.block(at: 9, on: worker)?.from == .memory)
        worker.stop()
    }
}
