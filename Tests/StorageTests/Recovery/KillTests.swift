import Chain
import Crypto
import Dispatch
import Glibc
import TestSupport
import Testing

@testable import Storage

/// Real processes that are killed or hit a real limit while they append.
@Suite struct KillTests {
    static let count = 400
    static let segmentSize = 20_000

    /// Runs in the process to be killed: votes and appends, and notes in `progress` each time one is done.
    static func run(_ directory: String, disk: any Disk) throws {
        let chain = try TestChain(count)
        let store = try BlockStore(directory: directory + "/blocks", segmentSize: segmentSize, disk: disk)
        let log = try VoteLog(directory: directory)
        let progress = try SystemDisk.shared.open(directory + "/progress", .createIfMissing)
        for link in chain.links[Int(store.tip?.height ?? 0)...] {
            try log.record(vote(link.block))
            try progress.write(withUnsafeBytes(of: link.block.height) { [UInt8]($0) }, at: 0)
            try store.append(link.hashed, link.commitInfo, link.results)
            try progress.write(withUnsafeBytes(of: link.block.height) { [UInt8]($0) }, at: 8)
        }
    }

    static func vote(_ block: Block) -> Vote {
        Vote(height: block.height, stamp: block.height, blockHash: block.hash, decision: .ack(appHash: .zero))
    }

    /// Returns the heights of the last vote and block that the process finished.
    static func progress(_ directory: String) throws -> (vote: Int64, block: Int64) {
        let bytes = try SystemDisk.shared.open(directory + "/progress", .createIfMissing).read(
            at: 0, count: 16)
        let padded = bytes + [UInt8](repeating: 0, count: 16 - bytes.count)
        return padded.withUnsafeBytes {
            ($0.load(as: Int64.self), $0.load(fromByteOffset: 8, as: Int64.self))
        }
    }

    /// Checks, after the process ended, that nothing it finished is lost.
    static func inspect(_ directory: String, _ chain: TestChain) throws {
        let done = try progress(directory)
        let store = try BlockStore(directory: directory + "/blocks", segmentSize: segmentSize)
        let count = Int(store.tip?.height ?? 0)
        #expect(count == done.block || count == Int(done.block) + 1)
        try BlockStoreTests.expect(store, holds: chain, count)
        let voted = try VoteLog(directory: directory).last
        #expect((voted?.height ?? 0) >= done.vote)
        if let voted { #expect(voted == vote(chain.links[Int(voted.height) - 1].block)) }
        store.abandon()
    }

    @Test func aKilledProcessLosesNothingThatItFinished() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path
        let chain = try TestChain(KillTests.count)
        // Each round continues in the same directory.
        for round in 1...6 as ClosedRange<UInt32> {
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [path = path as String, round = round as UInt32] in
                DispatchQueue.global().async {
                    while (try? KillTests.progress(path).block) ?? 0 < Int64(round) * 50 { usleep(100) }
                    usleep(round * 137)
                    kill(getpid(), SIGKILL)
                }
                try KillTests.run(path, disk: SystemDisk.shared)
                sleep(60)
            }
            try KillTests.inspect(path, chain)
        }
        let store = try BlockStore(directory: path + "/blocks", segmentSize: KillTests.segmentSize)
        #expect(store.tip?.height ?? 0 >= 300)
    }

    /// The process kills itself before, during or after a write (steps 1 to 3), or before or after its synchronization
    /// (4 and 5).
    @Test(arguments: 1...5 as ClosedRange<Int>) func aProcessKilledAtAnyStep(_ step: Int) async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path
        let chain = try TestChain(KillTests.count)
        for height in [1, 2, 30] as [Int64] {
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [path = path as String, step = step as Int, height = height as Int64] in
                let isDue: @Sendable (Int) -> Bool = {
                    $0 == step && (try? KillTests.progress(path).block) ?? 0 >= height
                }
                let disk = SystemDisk(
                    calls: DiskCalls(
                        write: { descriptor, pieces, offset in
                            if isDue(1) { kill(getpid(), SIGKILL) }
                            if isDue(2) {
                                let some = UnsafeBufferPointer(rebasing: pieces[..<((pieces.count + 1) / 2)])
                                _ = DiskCalls.system.write(descriptor, some, offset)
                                kill(getpid(), SIGKILL)
                            }
                            let written = DiskCalls.system.write(descriptor, pieces, offset)
                            if isDue(3) { kill(getpid(), SIGKILL) }
                            return written
                        },
                        synchronize: {
                            if isDue(4) { kill(getpid(), SIGKILL) }
                            let result = DiskCalls.system.synchronize($0)
                            if isDue(5) { kill(getpid(), SIGKILL) }
                            return result
                        },
                        truncate: DiskCalls.system.truncate))
                try KillTests.run(path, disk: disk)
            }
            try KillTests.inspect(path, chain)
        }
    }

    /// The kernel's limit on file size stands in for a full disk: writes come up short, then fail.
    @Test func aProcessThatMayWriteNoMoreGoesOnWhenItMay() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path
        await #expect(processExitsWith: .success) { [path = path as String] in
            let chain = try TestChain(60, payload: 3000)
            let store = try BlockStore(directory: path)
            signal(SIGXFSZ, SIG_IGN)
            func limit(_ bytes: UInt) {
                var limit = rlimit()
                getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
                limit.rlim_cur = min(bytes, limit.rlim_max)
                setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            }
            var failures = 0
            for (count, link) in chain.links.enumerated() {
                let segment = path + "/" + MappedSegments.name(1)
                if count > 0 {
                    let bytes = try Tamper.length(segment) + 100
                    limit(UInt(bytes))
                    do throws(StorageError) {
                        try store.append(link.hashed, link.commitInfo, link.results)
                        fatalError("appended \(link.block.bytes.count) bytes beyond \(bytes)")
                    } catch .system(operation: "write", segment, EFBIG) {
                        failures += 1
                    } catch { throw error }
                    limit(.max)
                    guard store.tip?.height ?? 0 == Int64(count) else { fatalError("height \(count)") }
                }
                try store.append(link.hashed, link.commitInfo, link.results)
            }
            guard failures == 59 else { fatalError("\(failures) failures") }
            try store.close()
        }
        let store = try BlockStore(directory: path)
        #expect(store.recovery.isClean)
        try BlockStoreTests.expect(store, holds: TestChain(60, payload: 3000), 60)
    }

    @Test func anotherProcessCannotOpenTheDirectory() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path
        let store = try BlockStore(directory: path)
        await #expect(processExitsWith: .success) { [path = path as String] in
            #expect(throws: StorageError.locked(path: path + "/LOCK")) { try BlockStore(directory: path) }
        }
        try store.close()
    }
}
