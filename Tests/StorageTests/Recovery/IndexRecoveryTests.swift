import Bytes
import Chain
import Glibc
import TestSupport
import Testing

@testable import Storage

/// Opening with an index or a commit mark that is missing, damaged or stale.
@Suite struct IndexRecoveryTests {
    static let chain = Result { try TestChain(12, payload: 10) }

    /// Makes a store of eight blocks, changes its files, and opens it.
    static func reopen(
        closed: Bool = true, segmentSize: Int = 4096, _ change: (TemporaryDirectory) throws -> Void
    ) throws -> RecoveryReport {
        let chain = try chain.get()
        let directory = try RecoveryTests.make(chain, 8, closed: closed, segmentSize: segmentSize)
        try change(directory)
        return try RecoveryTests.finish(directory, chain, from: 8, segmentSize: segmentSize)
    }

    @Test func aDirectoryWithoutIndexGetsOne() throws {
        let report = try IndexRecoveryTests.reopen {
            try TestFile.remove($0.path + "/index")
        }
        #expect(report.indexRebuilt == "it is missing")
        #expect(report.bytesDropped == 0)
        for file in ["SEAL", "data.mdb"] {
            let report = try IndexRecoveryTests.reopen {
                try TestFile.remove($0.path + "/index/" + file)
            }
            #expect(report.indexRebuilt == (file == "SEAL" ? "it was not closed" : "its file is missing"))
        }
    }

    @Test func readersTableIsNotBelieved() throws {
        let report = try IndexRecoveryTests.reopen {
            let path = $0.path + "/index/lock.mdb"
            _ = unlink(path)
            try SystemDisk.shared.open(path, .createNew).write([UInt8](repeating: 0xa5, count: 70_000), at: 0)
        }
        #expect(report.isClean)
    }

    @Test func anIndexOfGarbageIsMadeAgain() throws {
        for closed in [true, false] {
            let report = try IndexRecoveryTests.reopen(closed: closed) {
                let path = $0.path + "/index/data.mdb"
                let length = try Tamper.length(path)
                let garbage = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 8) }
                try SystemDisk.shared.open(path, .readWrite).write(garbage, at: 0)
            }
            #expect(
                report.indexRebuilt == (closed ? "its file does not match its checksum" : "it was not closed")
            )
        }
    }

    @Test func anIndexWithAFlippedOrMissingByteIsMadeAgain() throws {
        let chain = try IndexRecoveryTests.chain.get()
        let whole = try RecoveryTests.make(chain, 8, closed: true)
        let length = try Tamper.length(whole.path + "/index/data.mdb")
        for offset in stride(from: 0, to: length, by: 499) {
            let copy = try TemporaryDirectory(copying: whole.path)
            let path = copy.path + "/index/data.mdb"
            if offset % 2 == 0 {
                try Tamper.flip(path, at: offset, bit: offset % 8)
            } else {
                try Tamper.truncate(path, to: offset)
            }
            let store = try BlockStore(directory: copy.path)
            #expect(store.recovery.indexRebuilt == "its file does not match its checksum")
            try BlockStoreTests.expect(store, holds: chain, 8)
        }
    }

    @Test func aFlippedByteInTheSealMakesTheIndexAgain() throws {
        let chain = try IndexRecoveryTests.chain.get()
        let whole = try RecoveryTests.make(chain, 8, closed: true)
        for offset in 0..<IndexSeal.size {
            let copy = try TemporaryDirectory(copying: whole.path)
            try Tamper.flip(copy.path + "/index/SEAL", at: offset)
            let store = try BlockStore(directory: copy.path)
            #expect(store.recovery.indexRebuilt == "its seal does not match its checksum")
            try BlockStoreTests.expect(store, holds: chain, 8)
        }
    }

    /// An operator may stop a node while it makes the index of a long log again.
    @Test func makingAnIndexAgainCanBeInterrupted() throws {
        let chain = try IndexRecoveryTests.chain.get()
        let directory = try RecoveryTests.make(chain, 8, closed: true)
        try TestFile.remove(directory.path + "/index")
        #expect(throws: StorageError.interrupted) {
            try BlockStore(directory: directory.path) { $0 < 5 }
        }
        let report = try RecoveryTests.finish(directory, chain, from: 8)
        #expect(report.indexRebuilt != nil)
    }

    @Test func anOldIndexIsMadeAgain() throws {
        let chain = try IndexRecoveryTests.chain.get()
        let directory = try RecoveryTests.make(chain, 5, closed: true)
        let old = try TemporaryDirectory(copying: directory.path)
        do {
            let store = try BlockStore(directory: directory.path)
            try chain.append(5..<8, to: store)
        }
        try TestFile.remove(directory.path + "/index")
        try TestFile.copy(old.path + "/index", to: directory.path + "/index")
        let report = try RecoveryTests.finish(directory, chain, from: 8)
        #expect(report.indexRebuilt == "it does not end where the log ends")
    }

    @Test func aStoreThatIsOnlyReadStaysSealed() throws {
        let chain = try IndexRecoveryTests.chain.get()
        let directory = try RecoveryTests.make(chain, 8, closed: true)
        for _ in 0..<2 {
            let store = try BlockStore(directory: directory.path)
            #expect(store.recovery.isClean)
            try BlockStoreTests.expect(store, holds: chain, 8)
            store.abandon()
        }
    }

    @Test func aFlippedByteInTheMarkIsSaidAndMended() throws {
        for offset in 0..<CommitMark.size {
            let report = try IndexRecoveryTests.reopen(closed: offset % 2 == 0) {
                try Tamper.flip(CommitMark.path($0.path), at: offset)
            }
            #expect(report.markIgnored?.hasSuffix("MARK does not match its checksum") == true)
        }
    }

    @Test func aMarkAheadOfTheLogIsAnError() throws {
        let chain = try IndexRecoveryTests.chain.get()
        let directory = try RecoveryTests.make(chain, 8, closed: true)
        let old = try RecoveryTests.make(chain, 7, closed: true)
        try TestFile.remove(CommitMark.path(old.path))
        try TestFile.copy(CommitMark.path(directory.path), to: CommitMark.path(old.path))
        let segment = try old.segments[0]
        let error = #expect(throws: StorageError.self) { try BlockStore(directory: old.path) }
        #expect(
            error
                == .corrupted(
                    path: segment, offset: try Tamper.length(segment),
                    "the log ends here, but blocks up to 8 were committed"))
    }
}
