import Chain
import Crypto
import Synchronization
import TestSupport
import Testing
import VirtualIO

@testable import Storage

/// A scripted run of a validator's storage on a virtual disk: it votes on blocks, appends them to several segments, alone or
/// several at once, and merges the index, with an orderly stop and a restart halfway.
final class StorageRun: Sendable {
    /// The heights confirmed so far, which must survive a crash.
    struct Progress {
        var vote: Int64 = 0
        var block: Int64 = 0
    }

    static let chain = Result { try TestChain(9, payload: 10) }
    static let directory = "n/blocks"
    /// Room for two or three blocks.
    static let segmentSize = 1800
    /// Enough to write a run for each few blocks, and to merge runs.
    static let indexLimits = IndexLimits(entries: 3)
    /// The number of blocks before the orderly stop.
    private static let half: Int64 = 5

    let disk: VirtualDisk
    let progress = Mutex(Progress())
    /// The number of blocks that are appended at once.
    private let group: Int

    /// Creates a disk with an empty directory for the store.
    init(seed: UInt64, group: Int = 1) throws {
        disk = VirtualDisk(seed: seed)
        self.group = group
        try disk.mount().makeDirectory("n")
    }

    static func vote(_ block: Block) -> Vote {
        Vote(
            height: block.height, stamp: block.height, blockHash: block.hash,
            decision: block.height % 3 == 0 ? .nack : .ack(appHash: .zero))
    }

    static func open(_ mount: any Disk) throws(StorageError) -> (BlockStore, VoteLog) {
        let store = try BlockStore(
            directory: directory, segmentSize: segmentSize, indexLimits: indexLimits, disk: mount)
        return (store, try VoteLog(directory: directory, disk: mount))
    }

    /// Runs the script and retries each failed step up to `retries` times. A failed step must not change the store.
    func work(retries: Int = 0) throws {
        let chain = try StorageRun.chain.get()
        let mount = disk.mount()
        var isReopened = false
        while true {
            let (store, log) = try attempt(retries) { () throws(StorageError) in try StorageRun.open(mount) }
            defer { store.abandon() }
            var rest = chain.links[Int(store.tip?.height ?? 0)...]
            while !rest.isEmpty {
                try append(rest.prefix(group), to: store, log, retries)
                rest = chain.links[Int(progress.withLock { $0.block })...]
                try attempt(retries) { () throws(StorageError) in
                    if store.isIndexDue { try store.maintainIndex() }
                }
                if !isReopened, progress.withLock({ $0.block }) >= StorageRun.half { break }
            }
            do { try store.close() } catch { if retries == 0 { throw error } }
            if isReopened { return }
            isReopened = true
        }
    }

    private func append(
        _ links: ArraySlice<TestChain.Link>, to store: BlockStore, _ log: VoteLog, _ retries: Int
    ) throws {
        for link in links {
            let vote = StorageRun.vote(link.block)
            try attempt(retries) { () throws(StorageError) in
                let before = log.votes
                do throws(StorageError) { try log.record(vote) } catch {
                    #expect(log.votes == before)
                    throw error
                }
            }
            progress.withLock { $0.vote = link.block.height }
        }
        try attempt(retries) { () throws(StorageError) in
            let before = store.tip?.height ?? 0
            let left = links.filter { $0.block.height > before }
            do throws(StorageError) {
                try store.append(left.map { .init($0.hashed, $0.commitInfo, $0.results) })
            } catch {
                // What filled an earlier segment stays.
                let kept = (store.tip?.height ?? 0) - before
                #expect(kept < left.count && (kept == 0 || group > 1))
                throw error
            }
        }
        progress.withLock { $0.block = store.tip?.height ?? 0 }
    }

    private func attempt<R>(
        _ retries: Int, _ body: () throws(StorageError) -> R
    ) throws(StorageError) -> R {
        for _ in 0..<retries { if let result = try? body() { return result } }
        return try body()
    }

    /// Restarts, and counts everything found as confirmed, because a node relies on it.
    func restart() throws {
        disk.setHook(nil)
        let (store, log) = try StorageRun.open(disk.mount())
        if let last = log.last { try log.record(last) }
        progress.withLock { $0 = Progress(vote: log.last?.height ?? 0, block: store.tip?.height ?? 0) }
        store.abandon()
    }

    /// Calls `fault` at operation `number`, from 1; it may crash the disk or return an error for the operation.
    func plan(at number: Int, _ fault: @escaping @Sendable (VirtualDisk) -> Int32?) {
        let count = Mutex(0)
        disk.setHook { [disk] _ in
            let isDue = count.withLock {
                $0 += 1
                return $0 == number
            }
            return isDue ? fault(disk) : nil
        }
    }

    // MARK: Checks

    /// Restarts and checks that everything confirmed is there, whole and in order, with at most the blocks of one append and
    /// one vote more. A second start must need no repair, and the rest of the chain must fit.
    func inspect(_ comment: Comment) throws {
        disk.setHook(nil)
        let chain = try StorageRun.chain.get()
        let done = progress.withLock { $0 }
        var count = 0
        for round in 0..<2 {
            let (store, log) = try StorageRun.open(disk.mount())
            defer { store.abandon() }
            let height = store.tip?.height ?? 0
            #expect((done.block...done.block + Int64(group)).contains(height), comment)
            #expect(round == 0 || height == count, comment)
            #expect(round == 0 || store.recovery.isClean, "\(comment): \(store.recovery)")
            #expect((store.recovery.bytesDropped > 0) == (store.recovery.droppedFrom != nil), comment)
            #expect(store.recovery.blocks == height, comment)
            count = Int(height)
            try BlockStoreTests.expect(store, holds: chain, count)
            let votes = log.votes
            let last = votes.last?.height ?? 0
            #expect(last == done.vote || last == done.vote + 1, "\(comment): \(last) after \(done)")
            #expect(last >= height, comment)
            let all = chain.links[..<Int(last)].map { StorageRun.vote($0.block) }
            #expect(votes == all.suffix(16), comment)
        }
        let (store, log) = try StorageRun.open(disk.mount())
        for link in chain.links[count...] {
            if link.block.height >= log.last?.height ?? 0 { try log.record(StorageRun.vote(link.block)) }
            try store.append(link.hashed, link.commitInfo, link.results)
        }
        try store.close()
        disk.powerFail()
        let (again, _) = try StorageRun.open(disk.mount())
        #expect(again.recovery.isClean, comment)
        try BlockStoreTests.expect(again, holds: chain, chain.links.count)
        again.abandon()
    }
}
