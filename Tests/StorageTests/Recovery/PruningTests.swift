import Chain
import Crypto
import TestSupport
import Testing
import VirtualIO

@testable import Storage

/// Dropping old segments (docs/storage.md, "Pruning").
@Suite struct PruningTests {
    /// Returns a store of nine blocks in several segments, which are not closed.
    private static func store(_ run: StorageRun) throws -> BlockStore {
        let (store, _) = try StorageRun.open(run.disk.mount())
        try StorageRun.chain.get().append(0..<9, to: store)
        return store
    }

    private static func segments(_ run: StorageRun) throws -> [Int64] {
        try MappedSegments.names(in: StorageRun.directory, disk: run.disk.mount())
    }

    /// Expects the blocks from the first one on, and nothing before it.
    private static func expect(_ store: BlockStore, from first: Int64, _ comment: Comment? = nil) throws {
        #expect(store.firstHeight == first, comment)
        for link in try StorageRun.chain.get().links {
            let height = link.block.height
            let block = try store.block(at: height)
            #expect(block?.hash == (height < first ? nil : link.block.hash), comment)
        }
    }

    @Test func onlyWholeSegmentsBelowTheHeightAreDropped() throws {
        let run = try StorageRun(seed: 1)
        let store = try Self.store(run)
        let names = try Self.segments(run)
        #expect(names.count > 3)
        for height in Int64(0)...12 {
            try store.prune(below: height)
            let first = names.last { $0 <= max(1, height) } ?? 1
            #expect(try Self.segments(run) == names.filter { $0 >= first })
            try Self.expect(store, from: first, "below \(height)")
        }
        store.abandon()
        let (again, _) = try StorageRun.open(run.disk.mount())
        #expect(again.recovery.isClean, "\(again.recovery)")
        try Self.expect(again, from: try #require(names.last))
        #expect(again.recovery.blocks == 9 - (try #require(names.last)) + 1)
        again.abandon()
    }

    @Test func lookUpsNameDroppedBlocks() throws {
        let run = try StorageRun(seed: 2)
        let store = try Self.store(run)
        let chain = try StorageRun.chain.get()
        try store.prune(below: 7)
        let first = try #require(store.firstHeight)
        #expect(first > 3)
        for link in chain.links {
            let height = link.block.height
            let error = StorageError.pruned(height: height, first: first)
            if height < first {
                #expect(throws: error) { try store.block(hash: link.block.hash) }
            } else {
                #expect(try store.block(hash: link.block.hash)?.height == height)
            }
            for id in link.hashed.transactionIDs {
                #expect(try store.contains(id))
                if height < first {
                    #expect(throws: error) { try store.transaction(id) }
                } else {
                    #expect(try store.transaction(id)?.height == height)
                }
            }
        }
        #expect(error(of: first - 1, first).contains("keeps the blocks from \(first) on"))
        store.abandon()
    }

    private func error(of height: Int64, _ first: Int64) -> String {
        StorageError.pruned(height: height, first: first).description
    }

    /// A crash, a full disk or a failure at any operation loses no block from the height on; a start, and another attempt, end
    /// what was begun.
    @Test(arguments: UInt64(0)..<12) func aFaultAtAnyOperationLosesNothing(_ seed: UInt64) throws {
        for number in 1...16 {
            let run = try StorageRun(seed: seed &* 100 &+ UInt64(number))
            let store = try Self.store(run)
            let names = try Self.segments(run)
            let due = try #require(names.last { $0 <= 7 })
            run.plan(at: number) { disk in
                switch seed % 3 {
                case 0: disk.powerFail()
                case 1: disk.kill()
                default: return 5
                }
                return nil
            }
            try? store.prune(below: 7)
            store.abandon()
            run.disk.setHook(nil)
            if seed % 3 == 2 { run.disk.kill() }
            for round in 0..<2 {
                let (again, _) = try StorageRun.open(run.disk.mount())
                let first = try #require(again.firstHeight)
                #expect(first == 1 || first == due, "operation \(number): from \(first)")
                try Self.expect(again, from: first, "operation \(number)")
                #expect(again.tip?.height == 9)
                #expect(try Self.segments(run) == names.filter { $0 >= first }, "operation \(number)")
                if round == 1 {
                    try again.prune(below: 7)
                    try Self.expect(again, from: due, "operation \(number)")
                }
                again.abandon()
            }
        }
    }

    /// A store goes on after pruning as before.
    @Test func aPrunedStoreGrows() throws {
        let run = try StorageRun(seed: 3)
        let chain = try StorageRun.chain.get()
        let (store, _) = try StorageRun.open(run.disk.mount())
        try chain.append(0..<6, to: store)
        try store.prune(below: 5)
        let first = try #require(store.firstHeight)
        #expect(first > 1)
        try chain.append(6..<9, to: store)
        try store.close()
        run.disk.powerFail()
        let (again, _) = try StorageRun.open(run.disk.mount())
        #expect(again.recovery.isClean && again.tip?.height == 9)
        try Self.expect(again, from: first)
        again.abandon()
    }
}
