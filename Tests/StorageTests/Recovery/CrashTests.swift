import Chain
import Crypto
import Glibc
import TestSupport
import Testing
import VirtualIO

@testable import Storage

/// A crash or a fault at each operation of a scripted run on a virtual disk, each with several outcomes.
@Suite struct CrashTests {
    /// The number of operations in a run without faults.
    private static let operations = Result { try count(group: 1) }

    private static func count(group: Int) throws -> Int {
        let run = try StorageRun(seed: 0, group: group)
        try run.work()
        return run.disk.operations
    }

    /// Runs the script once for each operation, with `crash` at that operation, and then calls `check`.
    private static func atEachOperation(
        _ seed: UInt64, group: Int = 1, _ crash: @escaping @Sendable (VirtualDisk) -> Void,
        _ check: (_ run: StorageRun, _ operation: Int) throws -> Void
    ) throws {
        for operation in 1...(try count(group: group)) {
            let run = try StorageRun(seed: seed &* 1000 &+ UInt64(operation), group: group)
            run.plan(at: operation) { disk in
                crash(disk)
                return nil
            }
            _ = try? run.work()
            try check(run, operation)
        }
    }

    @Test func theScriptMeetsEveryKindOfOperation() throws {
        let run = try StorageRun(seed: 0)
        let kinds = Kinds()
        run.disk.setHook { operation in
            kinds.insert(operation.kind)
            return nil
        }
        try run.work()
        // Nothing is truncated when nothing fails; what is removed are runs that were merged.
        #expect(
            kinds.all == [
                .create, .write, .synchronize, .rename, .remove, .synchronizeDirectory, .makeDirectory,
            ])
        #expect(try CrashTests.operations.get() > 60)
    }

    @Test(arguments: UInt64(0)..<12, [1, 4]) func aPowerFailureAtAnyOperationLosesNothing(
        _ seed: UInt64, _ group: Int
    ) throws {
        try CrashTests.atEachOperation(seed, group: group, { $0.powerFail() }) { run, operation in
            try run.inspect("power failure at operation \(operation)")
        }
    }

    @Test(arguments: UInt64(0)..<4, [1, 4]) func aProcessKilledAtAnyOperationLosesNothing(
        _ seed: UInt64, _ group: Int
    ) throws {
        try CrashTests.atEachOperation(seed, group: group, { $0.kill() }) { run, operation in
            try run.inspect("killed at operation \(operation)")
        }
    }

    /// What a killed process left in the page cache is not durable. A start that relies on it must make it so.
    @Test(arguments: UInt64(0)..<4) func aPowerFailureAfterARestartLosesNothing(_ seed: UInt64) throws {
        try CrashTests.atEachOperation(seed, { $0.kill() }) { run, operation in
            try run.restart()
            run.disk.powerFail()
            try run.inspect("killed at operation \(operation), started, power failure")
        }
    }

    /// Recovery itself writes and can be interrupted: here four times in a row, each time one operation later.
    @Test(arguments: UInt64(0)..<4, [1, 4]) func powerFailuresWhileRecoveringLoseNothing(
        _ seed: UInt64, _ group: Int
    ) throws {
        try CrashTests.atEachOperation(seed, group: group, { $0.powerFail() }) { run, operation in
            for step in 1...4 {
                run.plan(at: step) { disk in
                    if step % 2 == 0 { disk.powerFail() } else { disk.kill() }
                    return nil
                }
                try? StorageRun.open(run.disk.mount()).0.abandon()
                run.disk.kill()
            }
            try run.inspect("power failure at operation \(operation) and while recovering")
        }
    }

    @Test(arguments: [(ENOSPC, 1), (ENOSPC, 3), (EIO, 1), (EIO, 4)], [1, 4])
    func aDiskThatRefusesAnyOperationLosesNothing(_ error: (errno: Int32, times: Int), _ group: Int) throws {
        let (errno, times) = error
        for operation in 1...(try CrashTests.count(group: group) + 1) {
            for seed in UInt64(0)..<4 {
                let run = try StorageRun(seed: seed &* 1000 &+ UInt64(operation), group: group)
                let count = Counter()
                run.disk.setHook { _ in
                    let number = count.next()
                    return number >= operation && number < operation + times ? errno : nil
                }
                try run.work(retries: times)
                // Everything confirmed is durable, even after a failed synchronization.
                run.disk.powerFail()
                try run.inspect("error \(errno), \(times) times from operation \(operation)")
            }
        }
    }

    /// The power fails while the node handles an error.
    @Test(arguments: UInt64(0)..<4) func aPowerFailureSoonAfterAnErrorLosesNothing(_ seed: UInt64) throws {
        for operation in 1...(try CrashTests.operations.get()) {
            for distance in 1...4 {
                let run = try StorageRun(seed: seed &* 1000 &+ UInt64(operation * 5 + distance))
                let count = Counter()
                run.disk.setHook { [disk = run.disk] _ in
                    let number = count.next()
                    if number == operation + distance { disk.powerFail() }
                    return number == operation ? EIO : nil
                }
                _ = try? run.work(retries: 1)
                run.disk.kill()
                try run.inspect("error at operation \(operation), power failure \(distance) later")
            }
        }
    }

    /// A failed append leaves bytes of its record behind; then the record grows, so the block goes to the next segment.
    @Test func aBlockThatFailedAndThenWentToAnotherSegmentIsThereOnce() throws {
        let chain = try StorageRun.chain.get()
        for seed in UInt64(0)..<60 {
            let run = try StorageRun(seed: seed)
            let (store, _) = try StorageRun.open(run.disk.mount())
            try chain.append(0..<1, to: store)
            run.disk.setHook { $0.kind == .synchronize ? EIO : nil }
            #expect(throws: StorageError.self) { try chain.append(1..<2, to: store) }
            run.disk.setHook(nil)
            let next = chain.links[1]
            let log = String(repeating: "x", count: StorageRun.segmentSize)
            let results = next.results.map { _ in TransactionResult(code: 0, log: log) }
            try store.append(next.hashed, next.commitInfo, results)
            run.disk.powerFail()
            let (again, _) = try StorageRun.open(run.disk.mount())
            #expect(again.tip?.height == 2)
            #expect(try again.block(at: 2)?.results() == results)
        }
    }

    @Test func aDiskFullAtAnyByteLosesNothing() throws {
        let chain = try StorageRun.chain.get()
        let whole = try StorageRun(seed: 1)
        try whole.work()
        var sufficient = 0
        for capacity in stride(from: 0, to: whole.disk.usedBytes, by: 13) {
            let run = try StorageRun(seed: UInt64(capacity))
            run.disk.setCapacity(capacity)
            do {
                try run.work()
                // A start on a full disk does without writing the index, which can make room for everything else.
                #expect(run.progress.withLock { Int($0.block) } == chain.links.count, "capacity \(capacity)")
                sufficient += 1
            } catch StorageError.system("write", _, ENOSPC) {} catch {
                Issue.record("capacity \(capacity): \(error)")
            }
            // A full disk can still be read.
            let done = run.progress.withLock { $0 }
            do {
                let (store, log) = try StorageRun.open(run.disk.mount())
                try BlockStoreTests.expect(store, holds: chain, Int(done.block))
                #expect(log.last?.height ?? 0 == done.vote)
                store.abandon()
            } catch { #expect(done.vote == 0, "\(error)") }
            run.disk.setCapacity(nil)
            if capacity % 2 == 0 { run.disk.powerFail() } else { run.disk.kill() }
            try run.inspect("capacity \(capacity)")
        }
        #expect(sufficient < 20)
    }

    /// What a power failure leaves of a run, by this seed.
    static func outcome(_ seed: UInt64) throws -> [String] {
        let run = try StorageRun(seed: seed)
        run.plan(at: 40) { disk in
            disk.powerFail()
            return nil
        }
        _ = try? run.work()
        run.disk.setHook(nil)
        let mount = run.disk.mount()
        let files = try mount.names(in: StorageRun.directory).filter { $0 != "index" }.map {
            let path = StorageRun.directory + "/" + $0
            return "\($0) \(Hash.sha256(of: try mount.open(path, .read).read(at: 0, count: 1 << 20)))"
        }
        return files + ["\(String(describing: run.disk.flipBit { _ in true }))"]
    }

    @Test func aSeedRepeats() async throws {
        var outcomes: Set<[String]> = []
        for seed in UInt64(0)..<20 {
            let first = try Self.outcome(seed)
            #expect(try Self.outcome(seed) == first)
            outcomes.insert(first)
        }
        #expect(outcomes.count == 20)
        // In another process too, where tables have another order.
        let expected = try (UInt64(0)..<20).flatMap(Self.outcome).joined(separator: "\n")
        await #expect(processExitsWith: .success) { [expected = expected as String] in
            let found = try (UInt64(0)..<20).flatMap(CrashTests.outcome).joined(separator: "\n")
            #expect(found == expected)
        }
    }
}
