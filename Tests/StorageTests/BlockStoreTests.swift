import Bytes
import Chain
import Crypto
import Dispatch
import Glibc
import Synchronization
import TestSupport
import Testing
import VirtualIO

@testable import Storage

@Suite struct BlockStoreTests {
    /// Expects the store to hold exactly the chain's first `count` blocks, through every kind of lookup.
    static func expect(_ store: BlockStore, holds chain: TestChain, _ count: Int) throws {
        let last = count > 0 ? chain.links[count - 1] : nil
        #expect(store.tip?.height == last?.block.height)
        #expect(store.tip?.hash == last?.block.hash)
        #expect(store.tip?.appHash == last?.commitInfo.appHash)
        for link in chain.links[..<count] {
            let stored = try #require(try store.block(at: link.block.height))
            #expect(stored.hash == link.block.hash)
            #expect(stored.block == link.block.bytes)
            #expect(stored.commitInfo == SharedBytes(link.commitInfo.bytes))
            #expect(try stored.results() == link.results)
            #expect(try store.block(hash: link.block.hash)?.height == link.block.height)
            for (index, transaction) in link.block.transactions.enumerated() {
                let id = Hash.sha256(of: transaction)
                let found = try #require(try store.transaction(id))
                #expect(found.bytes == transaction)
                #expect(found.height == link.block.height)
                #expect(found.index == index)
                #expect(found.result == link.results[index])
                #expect(try store.contains(id))
            }
        }
        for link in chain.links[count...] {
            #expect(try store.block(at: link.block.height) == nil)
            #expect(try store.block(hash: link.block.hash) == nil)
            for transaction in link.block.transactions {
                #expect(try store.transaction(Hash.sha256(of: transaction)) == nil)
            }
        }
    }

    @Test(arguments: [BlockStore.defaultSegmentSize, 4096, 1])
    func appendedBlocksAreFoundAlsoAfterReopening(_ segmentSize: Int) throws {
        let directory = try TemporaryDirectory()
        let chain = try TestChain(40)
        var count = 0
        for round in 0..<4 {
            let store = try BlockStore(directory: directory.path, segmentSize: segmentSize)
            #expect(store.recovery.isClean, "\(store.recovery)")
            #expect(store.recovery.blocks == count)
            try BlockStoreTests.expect(store, holds: chain, count)
            try chain.append(count..<count + 10, to: store)
            count += 10
            try BlockStoreTests.expect(store, holds: chain, count)
            if round != 2 { try store.close() }
        }
        let segments = try directory.segments
        switch segmentSize {
        case 1: #expect(segments.count == 40)
        case 4096:
            #expect(segments.count > 2)
            for segment in segments { #expect(try Tamper.length(segment) <= 4096) }
        default: #expect(segments.count == 1)
        }
    }

    /// The log is three times as long as what may be resident.
    @Test func whoReadsTheWholeLogDoesNotKeepItResident() throws {
        let directory = try TemporaryDirectory()
        let chain = try TestChain(24, payload: 1 << 20) { _ in 1 }
        let store = try BlockStore(directory: directory.path)
        try chain.append(0..<24, to: store)
        var largest = 0
        for link in chain.links {
            #expect(try store.block(at: link.block.height)?.block == link.block.bytes)
            largest = max(largest, try Self.resident(of: directory.segments[0]))
        }
        #expect(largest > 1 << 20)
        #expect(largest <= MappedSegments.maxResident)
        // A slice handed out before its pages were released can still be read.
        let first = try #require(try store.block(at: 1))
        for link in chain.links { _ = try store.block(at: link.block.height) }
        #expect(first.block == chain.links[0].block.bytes)
    }

    /// The number of bytes of a file that are mapped and resident in this process.
    private static func resident(of path: String) throws -> Int {
        var (isOfFile, total) = (false, 0)
        for line in try TestFile.text("/proc/self/smaps").split(separator: "\n") {
            let words = line.split(separator: " ")
            if !words[0].hasSuffix(":") {
                isOfFile = line.hasSuffix(path)
            } else if words[0] == "Rss:", isOfFile {
                total += (Int(words[1]) ?? 0) << 10
            }
        }
        return total
    }

    @Test func aChainMayStartAtAnyHeight() throws {
        let directory = try TemporaryDirectory()
        let chain = try TestChain(5, from: 1_000_000)
        for count in [3, 5] {
            let store = try BlockStore(directory: directory.path)
            try chain.append((count == 3 ? 0 : 3)..<count, to: store)
            try BlockStoreTests.expect(store, holds: chain, count)
            try store.close()
        }
    }

    @Test func whatDoesNotFollowIsRefused() throws {
        let directory = try TemporaryDirectory()
        let store = try BlockStore(directory: directory.path)
        let chain = try TestChain(5)
        let other = try TestChain(5, payload: 61, transactions: { _ in 1 })
        func append(_ link: TestChain.Link) throws {
            try store.append(link.hashed, link.commitInfo, link.results)
        }
        try append(chain.links[0])
        try append(chain.links[1])
        for link in [chain.links[0], chain.links[1], chain.links[3], other.links[2]] {
            #expect(throws: StorageError.self) { try append(link) }
        }
        let next = chain.links[2]
        #expect(throws: StorageError.refused("it has 2 transactions but 1 results")) {
            try store.append(next.hashed, next.commitInfo, [TransactionResult(code: 0)])
        }
        try BlockStoreTests.expect(store, holds: chain, 2)
        try append(next)
        try BlockStoreTests.expect(store, holds: chain, 3)
    }

    @Test func severalBlocksTakeOneSynchronizationInEachSegment() throws {
        let chain = try TestChain(9, payload: 10)
        let disk = VirtualDisk(seed: 1)
        let mount = disk.mount()
        let store = try BlockStore(directory: "blocks", disk: mount)
        try chain.append(0..<1, to: store)
        let count = Counter()
        disk.setHook {
            if $0.kind == .synchronize { _ = count.next() }
            return nil
        }
        try chain.appendTogether(1..<9, to: store)
        #expect(count.next() == 2, "one, and this call")
        disk.setHook(nil)
        try BlockStoreTests.expect(store, holds: chain, 9)

        let split = try BlockStore(directory: "split", segmentSize: 1800, disk: mount)
        try split.append(chain.links.map { .init($0.hashed, $0.commitInfo, $0.results) })
        try BlockStoreTests.expect(split, holds: chain, 9)
        #expect(try mount.names(in: "split").count(where: { $0.hasSuffix(".blocks") }) > 2)
        try split.close()
        let again = try BlockStore(directory: "split", segmentSize: 1800, disk: mount)
        #expect(again.recovery.isClean)
        try BlockStoreTests.expect(again, holds: chain, 9)
    }

    @Test func ofBlocksThatDoNotFollowEachOtherNoneIsAppended() throws {
        let directory = try TemporaryDirectory()
        let store = try BlockStore(directory: directory.path)
        let chain = try TestChain(4)
        let links = [chain.links[0], chain.links[1], chain.links[3]]
        #expect(throws: StorageError.refused("its height is 4, not 3")) {
            try store.append(links.map { .init($0.hashed, $0.commitInfo, $0.results) })
        }
        #expect(store.tip == nil)
        try chain.appendTogether(0..<4, to: store)
        try BlockStoreTests.expect(store, holds: chain, 4)
    }

    @Test func aBlockLargerThanASegmentIsKept() throws {
        let directory = try TemporaryDirectory()
        let chain = try TestChain(4, payload: 20_000, transactions: { $0 == 1 ? 9 : 0 })
        var store = try BlockStore(directory: directory.path, segmentSize: 8192)
        try chain.append(0..<2, to: store)
        let held = try #require(try store.block(at: 2))
        try chain.append(2..<4, to: store)
        try BlockStoreTests.expect(store, holds: chain, 4)
        try store.close()
        store = try BlockStore(directory: directory.path, segmentSize: 8192)
        try BlockStoreTests.expect(store, holds: chain, 4)
        #expect(try directory.segments.count == 3)
        #expect(held.block == chain.links[1].block.bytes)
    }

    @Test func aTransactionInTwoBlocksKeepsItsFirstPlace() throws {
        let directory = try TemporaryDirectory()
        let chain = try TestChain(2, transactions: { _ in 2 })
        var header = chain.links[1].block.header
        header.height = 3
        header.previousHash = chain.links[1].block.hash
        let again = try chain.links[0].block.transactions.map { try Transaction(decoding: $0) }
        let block = Block.signed(header, transactions: again, by: chain.leader)
        var store = try BlockStore(directory: directory.path)
        try chain.append(0..<2, to: store)
        try store.append(
            HashedBlock(block, madeOf: again), chain.links[1].commitInfo,
            [TransactionResult(code: 9), TransactionResult(code: 9)])
        for round in 0..<2 {
            let found = try #require(try store.transaction(again[1].id))
            #expect(found.height == 1)
            #expect(found.result == chain.links[0].results[1])
            if round == 0 {
                // The index read from the log again gives the same answer.
                store.abandon()
                store = try BlockStore(directory: directory.path)
            }
        }
    }

    @Test func bytesOutliveTheStore() throws {
        let directory = try TemporaryDirectory()
        let chain = try TestChain(3)
        let store = try BlockStore(directory: directory.path)
        try chain.append(0..<3, to: store)
        let held = try #require(try store.block(at: 3))
        try store.close()
        try TestFile.remove(directory.path)
        #expect(held.block == chain.links[2].block.bytes)
        #expect(try held.results() == chain.links[2].results)
        #expect(throws: StorageError.closed) { try store.block(at: 3) }
        #expect(throws: StorageError.closed) { try store.contains(.zero) }
        #expect(throws: StorageError.closed) { try chain.append(2..<3, to: store) }
        try store.close()
    }

    @Test func aDirectoryOpensOnce() throws {
        let directory = try TemporaryDirectory()
        let store = try BlockStore(directory: directory.path)
        #expect(throws: StorageError.locked(path: directory.path + "/LOCK")) {
            try BlockStore(directory: directory.path)
        }
        try store.close()
        try BlockStore(directory: directory.path).close()
    }

    @Test func aDirectoryThatCannotBeMadeIsNamed() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/no/such"
        let error = #expect(throws: StorageError.self) { try BlockStore(directory: path) }
        #expect(error == .system(operation: "make directory", path: path, errno: ENOENT))
        #expect(error.map { "\($0)" } == "cannot make directory \(path): No such file or directory")
    }

    @Test func readersSeeWholeBlocksWhileOneAppends() throws {
        let directory = try TemporaryDirectory()
        let chain = try TestChain(300)
        let store = try BlockStore(directory: directory.path, segmentSize: 16_384)
        let failures = Mutex<[String]>([])
        let isDone = Atomic(false)
        let group = DispatchGroup()
        for reader in 0..<4 {
            DispatchQueue.global().async(group: group) {
                var step = reader
                while !isDone.load(ordering: .acquiring) {
                    guard let tip = store.tip else { continue }
                    step = step &* 31 &+ 7
                    let height = step % 3 == 0 ? tip.height : 1 + Int64(step.magnitude) % tip.height
                    let link = chain.links[Int(height) - 1]
                    do {
                        let block = try store.block(at: height)
                        if block?.block != link.block.bytes {
                            failures.withLock { $0.append("block \(height)") }
                        }
                        for transaction in link.block.transactions
                        where try store.transaction(Hash.sha256(of: transaction))?.bytes != transaction {
                            failures.withLock { $0.append("transaction of \(height)") }
                        }
                        if try store.block(hash: link.block.hash)?.height != height {
                            failures.withLock { $0.append("height \(height)") }
                        }
                    } catch { failures.withLock { $0.append("\(error)") } }
                }
            }
        }
        try chain.append(0..<300, to: store)
        isDone.store(true, ordering: .releasing)
        group.wait()
        #expect(failures.withLock { $0 } == [])
    }
}
