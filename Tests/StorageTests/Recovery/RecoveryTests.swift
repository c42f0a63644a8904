import Bytes
import Chain
import Crypto
import TestSupport
import Testing

@testable import Storage

/// Opening files that a killed process, a power failure or a bad disk left behind.
@Suite struct RecoveryTests {
    /// Makes a store of the chain's first `count` blocks, closed or as a killed process leaves it.
    static func make(
        _ chain: TestChain, _ count: Int, closed: Bool, segmentSize: Int = BlockStore.defaultSegmentSize
    ) throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        let store = try BlockStore(directory: directory.path, segmentSize: segmentSize)
        try chain.append(0..<count, to: store)
        if closed { try store.close() } else { store.abandon() }
        return directory
    }

    /// Opens a store of `count` blocks and appends the rest of the chain.
    static func finish(
        _ directory: TemporaryDirectory, _ chain: TestChain, from count: Int,
        segmentSize: Int = BlockStore.defaultSegmentSize
    ) throws -> RecoveryReport {
        let store = try BlockStore(directory: directory.path, segmentSize: segmentSize)
        try BlockStoreTests.expect(store, holds: chain, count)
        try chain.append(count..<chain.links.count, to: store)
        try BlockStoreTests.expect(store, holds: chain, chain.links.count)
        try store.close()
        let again = try BlockStore(directory: directory.path, segmentSize: segmentSize)
        #expect(again.recovery.isClean, "\(again.recovery)")
        return store.recovery
    }

    // MARK: Torn tails

    @Test func aTailCutAtAnyByteIsDropped() throws {
        let chain = try TestChain(5, payload: 10)
        let before = try RecoveryTests.make(chain, 3, closed: false)
        let after = try RecoveryTests.make(chain, 4, closed: false)
        let start = try Tamper.length(before.segments[0])
        // The two stores have different salts: use the later one's whole log with the earlier one's mark.
        let bytes = try SystemDisk.shared.open(after.segments[0], .read).read(at: 0, count: 1 << 20)
        #expect(bytes.count == start + chain.links[3].size)
        for length in start...bytes.count {
            let directory = try TemporaryDirectory(copying: before.path)
            let file = try SystemDisk.shared.open(directory.segments[0], .readWrite)
            try file.truncate(to: 0)
            try file.write([UInt8](bytes[..<length]), at: 0)
            let count = length == bytes.count ? 4 : 3
            let report = try RecoveryTests.finish(directory, chain, from: count)
            #expect(report.bytesDropped == (count == 4 ? 0 : length - start))
            #expect(report.droppedFrom?.offset == (count == 4 || length == start ? nil : start))
            #expect(report.indexRebuilt == nil)
            #expect(report.markIgnored == nil)
        }
    }

    @Test func aTailOfZerosIsDropped() throws {
        // A power failure can leave a file that grew without its bytes.
        let chain = try TestChain(5)
        for zeros in [1, 71, 72, 5000] {
            let directory = try RecoveryTests.make(chain, 3, closed: false)
            let segment = try directory.segments[0]
            let length = try Tamper.length(segment)
            try Tamper.truncate(segment, to: length + zeros)
            let report = try RecoveryTests.finish(directory, chain, from: 3)
            #expect(report.bytesDropped == zeros)
            #expect(report.droppedFrom?.offset == length)
            #expect(
                "\(report)".contains("dropped \(zeros) bytes of an unfinished block at offset \(length) of"))
        }
    }

    @Test func aSegmentWhoseCreationWasInterruptedIsRemoved() throws {
        let chain = try TestChain(6)
        for length in 0...SegmentHeader.size {
            let directory = try RecoveryTests.make(chain, 3, closed: length % 2 == 0, segmentSize: 1)
            let path = directory.path + "/" + MappedSegments.name(4)
            let header = SegmentHeader(firstHeight: 4, salt: 5).encode()
            try SystemDisk.shared.open(path, .createNew).write([UInt8](header[..<length]), at: 0)
            let report = try RecoveryTests.finish(directory, chain, from: 3, segmentSize: 1)
            #expect(report.bytesDropped == (length == SegmentHeader.size ? 0 : length))
            #expect(try directory.segments.count == 6)
        }
    }

    @Test func bytesInsideATornBlockThatLookLikeARecordAreNotBelieved() throws {
        let chain = try TestChain(3)
        let directory = try RecoveryTests.make(chain, 2, closed: false)
        let segment = try directory.segments[0]
        let length = try Tamper.length(segment)
        let part = BlockRecord.Part(of: SharedBytes())
        let fake = BlockRecord(height: 9, hash: .zero, block: part, commitInfo: part, results: part)
        // The best forgery possible without the salt.
        try SystemDisk.shared.open(segment, .readWrite).write(fake.encode(salt: 12345), at: length + 72)
        let report = try RecoveryTests.finish(directory, chain, from: 2)
        #expect(report.bytesDropped == 144)
    }

    /// A power failure may keep any sectors of an append of several blocks: also later blocks of it without earlier ones.
    @Test func anAppendOfSeveralBlocksIsTornWhereItsFirstMissingByteIs() throws {
        let chain = try TestChain(5, payload: 10)
        let whole = try RecoveryTests.make(chain, 2, closed: false)
        let segment = try whole.segments[0]
        let start = try Tamper.length(segment)
        let store = try BlockStore(directory: whole.path)
        try chain.appendTogether(2..<5, to: store)
        try BlockStoreTests.expect(store, holds: chain, 5)
        store.abandon()
        try TestFile.remove(CommitMark.path(whole.path))
        for offset in stride(from: start, to: try Tamper.length(segment), by: 7) {
            var (count, end) = (2, start)
            while end + chain.links[count].size <= offset {
                end += chain.links[count].size
                count += 1
            }
            // No torn write leaves padding that is not zero.
            guard offset < end + chain.links[count].contentSize else { continue }
            let directory = try TemporaryDirectory(copying: whole.path)
            try Tamper.flip(try directory.segments[0], at: offset)
            let report = try RecoveryTests.finish(directory, chain, from: count)
            #expect(report.droppedFrom?.offset == end)
        }
        // Damage before it is none of its torn bytes.
        for offset in stride(from: SegmentHeader.size, to: start, by: 7) {
            try Tamper.flip(segment, at: offset)
            try RecoveryTests.expectRefused(whole.path, segment) { $0 <= offset }
            try Tamper.flip(segment, at: offset)
        }
    }

    // MARK: Damage

    /// The blocks that the index lacks are all read at the start, and the last block in any case.
    @Test(arguments: [true, false]) func aFlippedByteInAnyBlockThatAStartReadsIsRefused(_ closed: Bool) throws
    {
        let chain = try TestChain(4, payload: 10)
        let whole = try RecoveryTests.make(chain, 4, closed: closed)
        let segment = try whole.segments[0]
        let length = try Tamper.length(segment)
        for offset in (closed ? length - chain.links[3].size : 0)..<length {
            let bit = offset % 8
            try Tamper.flip(segment, at: offset, bit: bit)
            try RecoveryTests.expectRefused(whole.path, segment) { $0 <= offset }
            try Tamper.flip(segment, at: offset, bit: bit)
        }
        let report = try RecoveryTests.finish(whole, chain, from: 4)
        #expect(report.indexRebuilt == nil)
    }

    @Test(arguments: [true, false]) func aLogCutAtAnyByteIsRefused(_ closed: Bool) throws {
        let chain = try TestChain(4, payload: 10)
        let whole = try RecoveryTests.make(chain, 4, closed: closed)
        let segment = try whole.segments[0]
        let bytes = try SystemDisk.shared.open(segment, .read).read(at: 0, count: 1 << 20)
        for length in 0..<bytes.count {
            try Tamper.truncate(segment, to: length)
            try RecoveryTests.expectRefused(whole.path, segment) { $0 <= length }
            try SystemDisk.shared.open(segment, .readWrite).write(bytes, at: 0)
        }
        _ = try RecoveryTests.finish(whole, chain, from: 4)
    }

    /// Expects opening to fail with one line that names the segment and an offset.
    static func expectRefused(
        _ directory: String, _ segment: String, _ isRight: (Int) -> Bool = { _ in true }
    ) throws {
        let error = #expect(throws: StorageError.self) { try BlockStore(directory: directory) }
        guard case .corrupted(segment, let offset, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(isRight(offset))
        let line = try #require(error).description
        #expect(line.hasPrefix("\(segment) is damaged at offset \(offset): "))
        #expect(!line.contains("\n"))
    }

    @Test func aFlippedByteInAnEarlierSegmentIsFoundWhenItIsRead() throws {
        let chain = try TestChain(6, payload: 10)
        let whole = try RecoveryTests.make(chain, 6, closed: true, segmentSize: 1500)
        let segment = try whole.segments[0]
        #expect(try whole.segments.count > 2)
        for offset in 0..<(try Tamper.length(segment)) {
            try Tamper.flip(segment, at: offset)
            defer { try? Tamper.flip(segment, at: offset) }
            var refused = 0
            do {
                let store = try BlockStore(directory: whole.path, segmentSize: 1500)
                for link in chain.links {
                    do throws(StorageError) {
                        let stored = try store.block(at: link.block.height)
                        #expect(stored?.block == link.block.bytes)
                        #expect(stored?.commitInfo.array == link.commitInfo.bytes)
                        #expect(try stored?.results() == link.results)
                    } catch {
                        guard case .corrupted(segment, _, _) = error else { throw error }
                        refused += 1
                    }
                    for (index, transaction) in link.block.transactions.enumerated() {
                        guard let found = try? store.transaction(Hash.sha256(of: transaction)) else {
                            continue
                        }
                        #expect(found.bytes == transaction)
                        #expect(found.result == link.results[index])
                    }
                }
            } catch {
                guard case .corrupted(segment, _, _) = error as? StorageError else { throw error }
                refused += 1
            }
            // Only a full read of the segment checks the padding.
            if refused == 0 {
                let store = try RecoveryTests.rebuildError(whole.path)
                guard case .corrupted(segment, _, _) = store else { throw CancellationError() }
            }
        }
    }

    /// Returns the error that opening throws without an index.
    static func rebuildError(_ directory: String) throws -> StorageError? {
        let copy = try TemporaryDirectory(copying: directory)
        try TestFile.remove(copy.path + "/index")
        do throws(StorageError) {
            _ = try BlockStore(directory: copy.path)
            return nil
        } catch .corrupted(let path, let offset, let what) {
            let name = path.dropFirst(copy.path.count)
            return .corrupted(path: directory + name, offset: offset, what)
        } catch { return error }
    }

    @Test func damageBeforeALaterRecordIsNeverTakenForATornTail() throws {
        let chain = try TestChain(4, payload: 10)
        let whole = try RecoveryTests.make(chain, 4, closed: false)
        try TestFile.remove(CommitMark.path(whole.path))
        let segment = try whole.segments[0]
        let lastStart = try Tamper.length(segment) - chain.links[3].size
        for offset in stride(from: SegmentHeader.size, to: lastStart, by: 3) {
            try Tamper.flip(segment, at: offset)
            try RecoveryTests.expectRefused(whole.path, segment) { $0 <= offset }
            try Tamper.flip(segment, at: offset)
        }
        // Without the mark, damage to the last record looks like a torn write: it is dropped and reported.
        try Tamper.flip(segment, at: lastStart + 100)
        let report = try RecoveryTests.finish(whole, chain, from: 3)
        #expect(report.bytesDropped == chain.links[3].size)
        #expect(report.droppedFrom?.path == segment)
        #expect(report.markIgnored == "it is missing")
    }

    @Test(arguments: [true, false]) func aMissingSegmentIsRefused(_ closed: Bool) throws {
        let chain = try TestChain(5)
        for position in 0..<5 {
            let directory = try RecoveryTests.make(chain, 5, closed: closed, segmentSize: 1)
            try TestFile.remove(directory.segments[position])
            let error = #expect(throws: StorageError.self) { try BlockStore(directory: directory.path) }
            guard case .corrupted = error else {
                Issue.record("\(position): \(String(describing: error))")
                continue
            }
        }
        let directory = try RecoveryTests.make(chain, 5, closed: closed)
        try TestFile.remove(directory.segments[0])
        #expect(throws: StorageError.self) { try BlockStore(directory: directory.path) }
    }

    @Test func aFileCutWhileOpenIsNamedByTheNextRead() throws {
        let chain = try TestChain(4)
        let directory = try TemporaryDirectory()
        let store = try BlockStore(directory: directory.path)
        try chain.append(0..<4, to: store)
        let segment = try directory.segments[0]
        try Tamper.truncate(segment, to: 500)
        let error = #expect(throws: StorageError.self) { try store.block(at: 4) }
        #expect(error == .corrupted(path: segment, offset: 500, "the file ends before committed bytes"))
    }
}
