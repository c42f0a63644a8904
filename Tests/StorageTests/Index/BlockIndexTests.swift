import Chain
import Collections
import Crypto
import Synchronization
import TestSupport
import Testing
import VirtualIO

@testable import Storage

/// The index by itself: many blocks of invented transactions, in memory, in runs and while runs are merged.
@Suite struct BlockIndexTests {
    /// A number's hash.
    static func hash(_ number: Int) -> Hash { Hash.sha256(of: Array("\(number)".utf8)) }

    /// Block `height` with `count` transactions, whose IDs belong to the numbers from `first` on.
    static func entry(_ height: Int64, count: Int, first: Int) -> BlockIndex.Entry {
        let location = BlockIndex.Location(
            segment: 1 + height / 100, offset: Int(height) * 8, hash: hash(-Int(height)))
        return BlockIndex.Entry(
            height: height, location: location, size: count * 300,
            transactions: (0..<count).map {
                (
                    hash(first + $0),
                    BlockIndex.TransactionLocation(height: height, index: $0, offset: $0 * 300, length: 300)
                )
            })
    }

    static func open(_ disk: any Disk, _ limits: IndexLimits) throws -> BlockIndex {
        try disk.makeDirectory("index")
        let names = try disk.names(in: "index").compactMap(IndexRun.heights(ofName:))
        let runs = try names.sorted { $0.lowerBound < $1.lowerBound }.map {
            try IndexRun(opening: "index/" + IndexRun.name($0), disk: disk)
        }
        return BlockIndex(directory: "index", runs: runs, limits: limits, disk: disk)
    }

    /// Expects the index to hold blocks 1 to `blocks` with `count` transactions each, and no other.
    static func expect(_ index: BlockIndex, _ blocks: Int, _ count: Int) throws {
        for height in 1...blocks {
            let expected = entry(Int64(height), count: count, first: (height - 1) * count)
            #expect(try index.location(of: Int64(height)) == expected.location)
            #expect(try index.height(of: expected.location.hash) == Int64(height))
            #expect(try index.transaction(expected.location.hash) == nil)
            for (id, location) in expected.transactions {
                #expect(try index.transaction(id) == location)
                #expect(try index.height(of: id) == nil)
            }
        }
        #expect(try index.location(of: 0) == nil)
        #expect(try index.location(of: Int64(blocks) + 1) == nil)
        for number in blocks * count..<blocks * count + 100 {
            #expect(try index.transaction(hash(number)) == nil)
            #expect(try index.height(of: hash(number)) == nil)
        }
    }

    @Test(arguments: [1, 7, 100, 5000]) func everythingInsertedIsFound(_ entries: Int) throws {
        let disk = VirtualDisk(seed: 1).mount()
        let limits = IndexLimits(entries: entries)
        var index = try BlockIndexTests.open(disk, limits)
        let (blocks, count) = (300, 7)
        for height in 1...blocks {
            index.insert(BlockIndexTests.entry(Int64(height), count: count, first: (height - 1) * count))
            // Late, so that a full table waits while the next one fills.
            if height % 3 == 0, index.isDue { try index.maintain() }
            if height % 100 == 0 {
                try BlockIndexTests.expect(index, height, count)
                try index.close()
                #expect(index.lastHeight == Int64(height))
                index = try BlockIndexTests.open(disk, limits)
                try BlockIndexTests.expect(index, height, count)
            }
        }
        #expect(try disk.names(in: "index").count < 16)
    }

    /// As many buckets as a run of 40,000 entries has: each ends where the next begins.
    @Test func aLargeRunIsFoundBucketByBucket() throws {
        let disk = VirtualDisk(seed: 1).mount()
        let index = try BlockIndexTests.open(disk, IndexLimits(entries: 1 << 20))
        for height in 1...40 {
            index.insert(BlockIndexTests.entry(Int64(height), count: 1000, first: (height - 1) * 1000))
        }
        try index.close()
        let path = "index/" + IndexRun.name(1...40)
        let run = try IndexRun(opening: path, disk: disk)
        #expect(run.header.buckets == 40_040 / 48)
        let sizes = try (0..<run.header.buckets).map { try run.bucket($0).count / IndexEntry.size }
        #expect(sizes.reduce(0, +) == run.size && run.size == 40_040)
        #expect(sizes.allSatisfy { $0 < 100 })
        try BlockIndexTests.expect(try BlockIndexTests.open(disk, IndexLimits()), 40, 1000)
    }

    @Test func aTransactionInSeveralBlocksKeepsItsFirstPlaceThroughMerges() throws {
        let disk = VirtualDisk(seed: 1).mount()
        var index = try BlockIndexTests.open(disk, IndexLimits(entries: 3))
        for height in Int64(1)...40 {
            // Blocks 1, 11, 21 and 31 have the same transactions.
            index.insert(BlockIndexTests.entry(height, count: 4, first: Int(height % 10) * 4))
            try index.maintain()
            #expect(try index.transaction(BlockIndexTests.hash(4))?.height == 1)
            #expect(try index.transaction(BlockIndexTests.hash(0))?.height == (height < 10 ? nil : 10))
        }
        try index.close()
        index = try BlockIndexTests.open(disk, IndexLimits(entries: 3))
        for number in 0..<40 {
            let height = Int64(number < 4 ? 10 : number / 4)
            #expect(try index.transaction(BlockIndexTests.hash(number))?.height == height)
        }
    }

    /// The last height inserted.
    private final class Height: Sendable {
        private let atomic = Atomic(0)
        var value: Int {
            get { atomic.load(ordering: .acquiring) }
            set { atomic.store(newValue, ordering: .releasing) }
        }
    }

    /// Lookups and appends on other threads while runs are written and merged.
    @Test func readersSeeEverythingDuringMerges() async throws {
        let directory = try TemporaryDirectory()
        let index = BlockIndex(
            directory: directory.path, runs: [], limits: IndexLimits(entries: 50), disk: SystemDisk.shared)
        let inserted = Height()
        let (blocks, count) = (400, 9)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for height in 1...blocks {
                    index.insert(
                        BlockIndexTests.entry(Int64(height), count: count, first: (height - 1) * count))
                    inserted.value = height
                }
            }
            group.addTask {
                while inserted.value < blocks { try index.maintain() }
            }
            group.addTask {
                var random = SeededGenerator(seed: 3)
                while inserted.value < blocks {
                    let known = inserted.value
                    guard known > 0 else { continue }
                    let number = Int(random.next() % UInt64(known * count))
                    let found = try index.transaction(BlockIndexTests.hash(number))
                    let location = try index.location(of: Int64(number / count + 1))
                    #expect(found?.height == Int64(number / count + 1) && location != nil)
                }
            }
            try await group.waitForAll()
        }
        try index.maintain()
        try BlockIndexTests.expect(index, blocks, count)
    }

    /// Damage ends merging, but not looking up and writing.
    @Test func aDamagedRunIsMergedOnceAndMadeAgain() throws {
        let disk = VirtualDisk(seed: 1).mount()
        let index = try BlockIndexTests.open(disk, IndexLimits(entries: 3))
        for height in 1...8 {
            index.insert(BlockIndexTests.entry(Int64(height), count: 4, first: (height - 1) * 4))
            guard height > 3 else {
                try index.maintain()
                continue
            }
            if height == 4 {
                let file = try disk.open("index/" + IndexRun.name(2...2), .readWrite)
                let offset = IndexRunHeader.size + IndexRunHeader.locationSize + 5
                let byte = try file.read(at: offset, count: 1)
                try file.write([byte[0] ^ 1], at: offset)
                let error = #expect(throws: StorageError.self) { try index.maintain() }
                guard case .index("index/2-2.run", "look up", _) = error else { throw CancellationError() }
            } else {
                try index.maintain()
            }
            #expect(!index.isDue)
            #expect(try index.height(of: BlockIndexTests.hash(-height)) == Int64(height))
            #expect(try index.location(of: 2)?.hash == BlockIndexTests.hash(-2))
            #expect(try index.transaction(BlockIndexTests.hash(0))?.height == 1)
        }
        let names = try disk.names(in: "index")
        #expect(names.count == 7 && !names.contains("2-2.run"))
    }

    @Test func closingEndsAMerge() throws {
        let virtual = VirtualDisk(seed: 1)
        let disk = virtual.mount()
        let index = try BlockIndexTests.open(disk, IndexLimits(entries: 3))
        for height in 1...3 {
            index.insert(BlockIndexTests.entry(Int64(height), count: 4, first: (height - 1) * 4))
            try index.maintain()
        }
        index.insert(BlockIndexTests.entry(4, count: 4, first: 12))
        #expect(index.isDue)
        try index.close()
        // The last table is written, and the merge that is due is left to the next start.
        #expect(try disk.names(in: "index").count == 4)
        try BlockIndexTests.expect(try BlockIndexTests.open(disk, IndexLimits(entries: 3)), 4, 4)
        try index.maintain()
        #expect(try disk.names(in: "index").count == 4)
    }
}
