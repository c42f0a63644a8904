import Bytes
import Chain
import Crypto
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

    /// The path of the file that the index of eight blocks has.
    static func run(_ directory: TemporaryDirectory) -> String { directory.path + "/index/1-8.run" }

    @Test func aDirectoryWithoutIndexGetsOne() throws {
        let report = try IndexRecoveryTests.reopen {
            try TestFile.remove($0.path + "/index")
        }
        #expect(report.indexRebuilt == "it is missing")
        #expect(report.bytesDropped == 0)
    }

    @Test func whatACrashLeftOutOfTheIndexIsReadFromTheLog() throws {
        for entries in [1, 2, 5, 1000] {
            let chain = try IndexRecoveryTests.chain.get()
            let directory = try TemporaryDirectory()
            for count in [3, 3, 7, 12] {
                let store = try BlockStore(
                    directory: directory.path, segmentSize: 2000, indexLimits: IndexLimits(entries: entries))
                #expect(store.recovery.isClean)
                let known = Int(store.tip?.height ?? 0)
                try BlockStoreTests.expect(store, holds: chain, known)
                for number in known..<count {
                    try chain.append(number..<number + 1, to: store)
                    if number % 2 == 0 { try store.maintainIndex() }
                }
                try BlockStoreTests.expect(store, holds: chain, count)
                store.abandon()
            }
        }
    }

    @Test func otherFilesInTheIndexAreRemoved() throws {
        let report = try IndexRecoveryTests.reopen {
            for name in ["data.mdb", "9-12.run.new", "009-12.run", "a-b.run", "4-9", "8-4.run"] {
                try SystemDisk.shared.open($0.path + "/index/" + name, .createNew).write([1, 2, 3], at: 0)
            }
            _ = try BlockStore(directory: $0.path)
            #expect(try TestFile.names(in: $0.path + "/index") == ["1-8.run"])
        }
        #expect(report.isClean)
    }

    /// Each flipped or missing byte is noticed by the start, or by the first look-up that needs it and then by the next
    /// start. There is never a wrong answer.
    @Test func anIndexWithAFlippedOrMissingByteIsMadeAgain() throws {
        let chain = try IndexRecoveryTests.chain.get()
        let whole = try RecoveryTests.make(chain, 8, closed: true)
        let length = try Tamper.length(IndexRecoveryTests.run(whole))
        var later = 0
        for offset in stride(from: 0, to: length, by: 5) {
            let copy = try TemporaryDirectory(copying: whole.path)
            let path = IndexRecoveryTests.run(copy)
            if offset % 10 == 0 {
                try Tamper.flip(path, at: offset, bit: offset % 8)
            } else {
                try Tamper.truncate(path, to: offset)
            }
            var store = try BlockStore(directory: copy.path)
            if store.recovery.indexRebuilt == nil {
                let error = #expect(throws: StorageError.self) {
                    for link in chain.links[..<8] {
                        let stored = try store.block(at: link.block.height)
                        #expect(stored?.block == link.block.bytes)
                        #expect(try store.block(hash: link.block.hash)?.height == link.block.height)
                        for transaction in link.block.transactions {
                            #expect(try store.transaction(Hash.sha256(of: transaction))?.bytes == transaction)
                        }
                    }
                }
                guard case .index(path, "look up", _) = error else { throw CancellationError() }
                later += 1
                store.abandon()
                store = try BlockStore(directory: copy.path)
            }
            try BlockStoreTests.expect(store, holds: chain, 8)
        }
        #expect(later > 20)
    }

    @Test func anIndexOfGarbageIsMadeAgain() throws {
        for closed in [true, false] {
            let report = try IndexRecoveryTests.reopen {
                let path = IndexRecoveryTests.run($0)
                let length = closed ? try Tamper.length(path) : 0
                let garbage = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 8) }
                try Tamper.truncate(path, to: 0)
                try SystemDisk.shared.open(path, .readWrite).write(garbage, at: 0)
            }
            #expect(report.indexRebuilt?.hasSuffix("its header does not match its checksum") == true)
        }
    }

    /// The part of the index after a missing file is made again.
    @Test func anIndexWithAMissingFileIsMadeAgain() throws {
        let chain = try IndexRecoveryTests.chain.get()
        for missing in 0..<3 {
            let directory = try TemporaryDirectory()
            var files: [String] = []
            for count in [2, 5, 8] {
                let store = try BlockStore(directory: directory.path)
                try chain.append(Int(store.tip?.height ?? 0)..<count, to: store)
                try store.close()
            }
            files = ["1-2.run", "3-5.run", "6-8.run"]
            #expect(try TestFile.names(in: directory.path + "/index").sorted() == files)
            try TestFile.remove(directory.path + "/index/" + files[missing])
            let report = try RecoveryTests.finish(directory, chain, from: 8)
            #expect(
                report.indexRebuilt
                    == ["the file with block 1 is missing", "the file with block 3 is missing", nil][missing])
        }
    }

    @Test func anIndexOfAnotherChainIsMadeAgain() throws {
        let chain = try IndexRecoveryTests.chain.get()
        let other = try RecoveryTests.make(
            TestChain(8, payload: 11, transactions: { $0 % 4 }), 8, closed: true)
        for closed in [true, false] {
            let directory = try RecoveryTests.make(chain, 8, closed: closed)
            if closed { try TestFile.remove(IndexRecoveryTests.run(directory)) }
            try TestFile.copy(IndexRecoveryTests.run(other), to: IndexRecoveryTests.run(directory))
            let report = try RecoveryTests.finish(directory, chain, from: 8)
            #expect(report.indexRebuilt?.hasSuffix("1-8.run is of another block log") == true)
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
        #expect(report.blocks == 8)
    }

    @Test func anOldIndexIsContinued() throws {
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
        #expect(report.isClean)
    }

    @Test func aStoreThatIsOnlyReadChangesNothing() throws {
        let chain = try IndexRecoveryTests.chain.get()
        let directory = try RecoveryTests.make(chain, 8, closed: true)
        for round in 0..<3 {
            let store = try BlockStore(directory: directory.path)
            #expect(store.recovery.isClean)
            try BlockStoreTests.expect(store, holds: chain, 8)
            if round == 1 { try store.close() } else { store.abandon() }
            #expect(try TestFile.names(in: directory.path + "/index") == ["1-8.run"])
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
