import Chain
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Storage

/// Failing system calls: the append fails with one line that names the file, the store stays unchanged, and continues
/// once the disk works again. `CrashTests` covers every operation on a virtual disk.
@Suite struct DiskFailureTests {
    /// Makes system calls fail as planned.
    final class Faults: Sendable {
        struct Plan {
            /// The number of bytes that can be written before `errno`; nil for no limit.
            var room: Int?
            var errno: Int32 = ENOSPC
            var failsSynchronize = false
            var failsTruncate = false
        }
        let plan = Mutex(Plan())

        var disk: SystemDisk {
            SystemDisk(
                calls: DiskCalls(
                    write: { descriptor, pieces, offset in
                        let room = self.plan.withLock { $0.room }
                        guard let room else { return DiskCalls.system.write(descriptor, pieces, offset) }
                        guard room > 0 else { return self.fail() }
                        var piece = pieces[0]
                        piece.iov_len = min(piece.iov_len, room)
                        let written = withUnsafePointer(to: piece) {
                            DiskCalls.system.write(
                                descriptor, UnsafeBufferPointer(start: $0, count: 1), offset)
                        }
                        self.plan.withLock { $0.room = room - written }
                        return written
                    },
                    synchronize: {
                        self.plan.withLock { $0.failsSynchronize }
                            ? Int32(self.fail()) : DiskCalls.system.synchronize($0)
                    },
                    truncate: {
                        self.plan.withLock { $0.failsTruncate }
                            ? Int32(self.fail()) : DiskCalls.system.truncate($0, $1)
                    }))
        }

        private func fail() -> Int {
            errno = plan.withLock { $0.errno }
            return -1
        }
    }

    @Test(arguments: [(false, false), (false, true), (true, false), (true, true)])
    func aDiskFullAtAnyByteLosesNothing(_ newSegment: Bool, _ failsTruncate: Bool) throws {
        let chain = try TestChain(6, payload: 10)
        let size = chain.links[3].size + (newSegment ? SegmentHeader.size : 0)
        for room in stride(from: 0, to: size, by: newSegment || failsTruncate ? 37 : 11) {
            let directory = try TemporaryDirectory()
            let segmentSize = newSegment ? 1 : BlockStore.defaultSegmentSize
            let faults = Faults()
            let store = try BlockStore(directory: directory.path, segmentSize: segmentSize, disk: faults.disk)
            try chain.append(0..<3, to: store)
            faults.plan.withLock {
                $0.room = room
                $0.failsTruncate = failsTruncate
            }
            let path =
                newSegment ? directory.path + "/" + MappedSegments.name(4) : try directory.segments[0]
            for _ in 0..<2 {
                #expect(throws: StorageError.system(operation: "write", path: path, errno: ENOSPC)) {
                    try chain.append(3..<4, to: store)
                }
                try BlockStoreTests.expect(store, holds: chain, 3)
                if failsTruncate { break }
            }
            // After a kill at this moment, the next start does not have the block.
            let copy = try TemporaryDirectory(copying: directory.path)
            _ = try RecoveryTests.finish(copy, chain, from: 3, segmentSize: segmentSize)
            faults.plan.withLock { $0 = Faults.Plan() }
            try chain.append(3..<6, to: store)
            try BlockStoreTests.expect(store, holds: chain, 6)
            try store.close()
            let again = try BlockStore(directory: directory.path, segmentSize: segmentSize)
            #expect(again.recovery.isClean)
            try BlockStoreTests.expect(again, holds: chain, 6)
        }
    }

    @Test(arguments: [BlockStore.defaultSegmentSize, 1]) func aFailingSynchronizeLosesNothing(
        _ segmentSize: Int
    ) throws {
        let chain = try TestChain(5)
        let directory = try TemporaryDirectory()
        let faults = Faults()
        let store = try BlockStore(directory: directory.path, segmentSize: segmentSize, disk: faults.disk)
        try chain.append(0..<3, to: store)
        faults.plan.withLock {
            $0.failsSynchronize = true
            $0.errno = EIO
        }
        let error = #expect(throws: StorageError.self) { try chain.append(3..<4, to: store) }
        let path =
            segmentSize == 1 ? directory.path + "/" + MappedSegments.name(4) : try directory.segments[0]
        #expect(error.map { "\($0)" } == "cannot synchronize \(path): Input/output error")
        try BlockStoreTests.expect(store, holds: chain, 3)
        faults.plan.withLock { $0 = Faults.Plan() }
        try chain.append(3..<5, to: store)
        try BlockStoreTests.expect(store, holds: chain, 5)
    }

    @Test func closingCutsOffWhatAFailedAppendLeft() throws {
        let chain = try TestChain(5)
        let directory = try TemporaryDirectory()
        let faults = Faults()
        let store = try BlockStore(
            directory: directory.path, segmentSize: BlockStore.defaultSegmentSize, disk: faults.disk)
        try chain.append(0..<3, to: store)
        faults.plan.withLock {
            $0.room = 100
            $0.failsTruncate = true
        }
        #expect(throws: StorageError.self) { try chain.append(3..<4, to: store) }
        faults.plan.withLock { $0 = Faults.Plan() }
        try store.close()
        #expect(try RecoveryTests.finish(directory, chain, from: 3).isClean)
    }

    @Test func aVoteThatCouldNotBeWrittenWasNotGiven() throws {
        let directory = try TemporaryDirectory()
        let faults = Faults()
        let log = try VoteLog(directory: directory.path, disk: faults.disk)
        let votes = (1...40).map { VoteLogTests.vote(Int64($0)) }
        for (index, vote) in votes.enumerated() {
            faults.plan.withLock {
                $0.failsSynchronize = index % 2 == 0
                $0.room = index % 2 == 0 ? nil : index * 5
                $0.errno = EIO
            }
            #expect(
                throws: StorageError.system(
                    operation: index % 2 == 0 ? "synchronize" : "write", path: directory.path + "/VOTES",
                    errno: EIO)
            ) { try log.record(vote) }
            #expect(log.last == (index == 0 ? nil : votes[index - 1]))
            faults.plan.withLock { $0 = Faults.Plan() }
            try log.record(vote)
            #expect(log.last == vote)
            #expect(try VoteLog(directory: directory.path).last == vote)
        }
    }
}
