import Chain
import Crypto
import TestSupport
import Testing

@testable import Storage

/// A flipped bit anywhere in the files of a closed store is reported with file and offset, or has no effect. It never
/// causes a wrong answer or a lost vote.
@Suite struct FlippedBitTests {
    /// The path and length of each file of a finished run.
    private static func files(_ run: StorageRun) throws -> [(path: String, length: Int)] {
        let mount = run.disk.mount()
        return try mount.names(in: StorageRun.directory).filter { $0 != "index" }.sorted().map {
            let path = StorageRun.directory + "/" + $0
            return (path, try mount.length(of: path))
        }
    }

    @Test(arguments: 0..<8) func aFlippedBitIsFoundOrHarmless(_ first: Int) throws {
        let run = try StorageRun(seed: 1)
        try run.work()
        var refused = 0
        var harmless = 0
        let files = try FlippedBitTests.files(run)
        #expect(files.count > 5)
        for (path, length) in files {
            // The cases together flip each byte once, and vary the bit.
            for offset in stride(from: first, to: length, by: 8) {
                let file = try run.disk.mount().open(path, .readWrite)
                let before = try file.read(at: 0, count: length)
                try file.write([before[offset] ^ 1 << UInt8((offset / 8) % 8)], at: offset)
                if try FlippedBitTests.isRefused(run, path, offset) { refused += 1 } else { harmless += 1 }
                try file.truncate(to: length)
                try file.write(before, at: 0)
                try file.synchronize()
            }
        }
        #expect(refused > 400 && harmless > 250)
        try run.inspect("all bits as they were")
    }

    @Test func theDiskFlipsBitsByItself() throws {
        for seed in UInt64(0)..<200 {
            let run = try StorageRun(seed: seed)
            try run.work()
            let (path, offset) = try #require(run.disk.flipBit { $0.hasPrefix(StorageRun.directory) })
            _ = try FlippedBitTests.isRefused(run, path, offset)
        }
    }

    /// Opens the store, reads everything, and returns whether the damage was reported, with the right file and an
    /// offset not past the damage.
    private static func isRefused(_ run: StorageRun, _ path: String, _ offset: Int) throws -> Bool {
        let chain = try StorageRun.chain.get()
        let mount = run.disk.mount()
        do throws(StorageError) {
            let (store, log) = try StorageRun.open(mount)
            defer { store.abandon() }
            #expect(log.votes == chain.links.map { StorageRun.vote($0.block) }, "\(path) \(offset)")
            #expect(store.tip?.height == 9, "\(path) \(offset)")
            for link in chain.links {
                let stored = try store.block(at: link.block.height)
                #expect(stored?.block == link.block.bytes, "\(path) \(offset)")
                #expect(stored?.commitInfo.array == link.commitInfo.bytes, "\(path) \(offset)")
                let results = try stored?.results()
                #expect(results == link.results, "\(path) \(offset)")
            }
            return false
        } catch {
            // The next start builds a damaged file of the index again.
            if case .index(path, "look up", _) = error { return try isRefused(run, path, offset) }
            guard case .corrupted(path, let found, _) = error, found <= offset else {
                Issue.record("\(path) \(offset): \(error)")
                return true
            }
            return true
        }
    }
}
