import Chain
import Crypto
import Synchronization
import Testing
import VirtualIO

@testable import Storage

/// A validator's storage on a virtual disk, used step by step: it votes on blocks and appends them, over several
/// segments, stops in good order in between, and starts again.
final class StorageRun: Sendable {
    /// What was confirmed: after a crash it must be there.
    struct Progress {
        var vote: Int64 = 0
        var block: Int64 = 0
    }

    static let chain = Result { try TestChain(9, payload: 10) }
    static let directory = "n/blocks"
    /// Room for two or three blocks.
    static let segmentSize = 1800
    /// Blocks before the stop in between.
    private static let half: Int64 = 5

    let disk: VirtualDisk
    let progress = Mutex(Progress())

    /// A disk with an empty directory for the store to be made in.
    init(seed: UInt64) throws {
        disk = VirtualDisk(seed: seed)
        try disk.mount().makeDirectory("n")
    }

    static func vote(_ block: Block) -> Vote {
        Vote(
            height: block.height, stamp: block.height, blockHash: block.hash,
            decision: block.height % 3 == 0 ? .nack : .ack(appHash: .zero))
    }

    static func open(_ mount: any Disk) throws(StorageError) -> (BlockStore, VoteLog) {
        let store = try BlockStore(directory: directory, segmentSize: segmentSize, disk: mount)
        return (store, try VoteLog(directory: directory, disk: mount))
    }

    /// Everything, with what fails tried again as often as `retries` says. Nothing that fails may change what is there.
    func work(retries: Int = 0) throws {
        let chain = try StorageRun.chain.get()
        let mount = disk.mount()
        var isReopened = false
        while true {
            let (store, log) = try attempt(retries) { () throws(StorageError) in try StorageRun.open(mount) }
            defer { store.abandon() }
            for link in chain.links[Int(store.tip?.height ?? 0)...] {
                let vote = StorageRun.vote(link.block)
                try attempt(retries) { () throws(StorageError) in
                    let before = log.votes
                    do throws(StorageError) { try log.record(vote) } catch {
                        #expect(log.votes == before)
                        throw error
                    }
                }
                progress.withLock { $0.vote = link.block.height }
                try attempt(retries) { () throws(StorageError) in
                    do throws(StorageError) {
                        try store.append(link.block, link.commitInfo, link.results)
                    } catch {
                        #expect(store.tip?.height ?? 0 == link.block.height - 1)
                        throw error
                    }
                }
                progress.withLock { $0.block = link.block.height }
                if !isReopened, link.block.height == StorageRun.half { break }
            }
            do { try store.close() } catch { if retries == 0 { throw error } }
            if isReopened { return }
            isReopened = true
        }
    }

    private func attempt<R>(
        _ retries: Int, _ body: () throws(StorageError) -> R
    ) throws(StorageError) -> R {
        for _ in 0..<retries { if let result = try? body() { return result } }
        return try body()
    }

    /// Starts again, and takes what is found for confirmed: the node acts on it.
    func restart() throws {
        disk.setHook(nil)
        let (store, log) = try StorageRun.open(disk.mount())
        if let last = log.last { try log.record(last) }
        progress.withLock { $0 = Progress(vote: log.last?.height ?? 0, block: store.tip?.height ?? 0) }
        store.abandon()
    }

    /// Makes the disk crash, or an operation fail, when the hook is called for the `number`th time (from 1).
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

    /// Starts again: all that was confirmed is there, whole and in order, and nothing else but perhaps the one block
    /// and vote that were on their way. A second start has nothing to mend, and the rest of the chain can follow.
    func inspect(_ comment: Comment) throws {
        disk.setHook(nil)
        let chain = try StorageRun.chain.get()
        let done = progress.withLock { $0 }
        var count = 0
        for round in 0..<2 {
            let (store, log) = try StorageRun.open(disk.mount())
            defer { store.abandon() }
            let height = store.tip?.height ?? 0
            #expect(height == done.block || height == done.block + 1, comment)
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
            try log.record(StorageRun.vote(link.block))
            try store.append(link.block, link.commitInfo, link.results)
        }
        try store.close()
        disk.powerFail()
        let (again, _) = try StorageRun.open(disk.mount())
        #expect(again.recovery.isClean, comment)
        try BlockStoreTests.expect(again, holds: chain, chain.links.count)
        again.abandon()
    }
}
