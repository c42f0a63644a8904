import Collections
import Glibc
import TestSupport
import Testing
import VirtualIO

@testable import Storage

/// The kernel and the virtual disk behave the same and fail with the same errors.
@Suite struct DiskConformanceTests {
    /// A disk and an empty directory on it.
    private struct Place {
        let disk: any Disk
        let path: String
        /// Keeps the kernel's directory alive.
        private let owner: TemporaryDirectory?

        init(isVirtual: Bool) throws {
            if isVirtual {
                disk = VirtualDisk(seed: 1).mount()
                path = "d"
                owner = nil
                try disk.makeDirectory(path)
            } else {
                let directory = try TemporaryDirectory()
                disk = SystemDisk.shared
                path = directory.path
                owner = directory
            }
        }

        func expect(_ operation: String, _ name: String, _ errno: Int32, _ body: () throws -> Void) {
            let path = path + "/" + name
            #expect(throws: StorageError.system(operation: operation, path: path, errno: errno)) {
                try body()
            }
        }
    }

    @Test(arguments: [false, true]) func filesAreReadAsTheyWereWritten(_ isVirtual: Bool) throws {
        let place = try Place(isVirtual: isVirtual)
        let path = place.path + "/a"
        let file = try place.disk.open(path, .createNew)
        #expect(try file.length() == 0)
        #expect(try file.read(at: 0, count: 4) == [])
        try file.write([1, 2, 3, 4], at: 0)
        try file.write([9], at: 6)
        #expect(try file.read(at: 0, count: 100) == [1, 2, 3, 4, 0, 0, 9])
        #expect(try file.read(at: 5, count: 1) == [0])
        #expect(try file.read(at: 50, count: 1) == [])
        try file.write([], at: 100)
        #expect(try file.length() == 7)
        try file.synchronize()
        try file.truncate(to: 3)
        try file.truncate(to: 5)
        #expect(try file.read(at: 0, count: 9) == [1, 2, 3, 0, 0])
        let pieces: [[UInt8]] = [[7], [], [8, 8]]
        try pieces[0].withUnsafeBytes { first in
            try pieces[2].withUnsafeBytes { last in
                try file.write([first, UnsafeRawBufferPointer(start: nil, count: 0), last], at: 4)
            }
        }
        #expect(try place.disk.open(path, .read).read(at: 0, count: 9) == [1, 2, 3, 0, 7, 8, 8])
        #expect(try place.disk.length(of: path) == 7)
    }

    @Test(arguments: [false, true]) func randomWritesAndCutsGiveTheSame(_ isVirtual: Bool) throws {
        let place = try Place(isVirtual: isVirtual)
        let file = try place.disk.open(place.path + "/a", .createNew)
        var random = SeededGenerator(seed: 7)
        var expected: [UInt8] = []
        for step in 0..<2000 {
            let offset = Int(random.next() % 3000)
            switch random.next() % 10 {
            case 0:
                try file.truncate(to: offset)
                expected = Array(expected.prefix(offset))
                expected += [UInt8](repeating: 0, count: offset - expected.count)
            case 1: try file.synchronize()
            default:
                let bytes = (0..<Int(random.next() % 700) + 1).map { UInt8(truncatingIfNeeded: $0 &+ step) }
                try file.write(bytes, at: offset)
                let missing = offset + bytes.count - expected.count
                if missing > 0 { expected += [UInt8](repeating: 0, count: missing) }
                expected.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            }
            let start = Int(random.next() % 3000)
            #expect(try file.read(at: start, count: 500) == Array(expected.dropFirst(start).prefix(500)))
        }
        #expect(try file.read(at: 0, count: 10_000) == expected)
    }

    @Test(arguments: [false, true]) func namesAreMadeReplacedAndRemoved(_ isVirtual: Bool) throws {
        let place = try Place(isVirtual: isVirtual)
        let disk = place.disk
        let (first, second) = (place.path + "/a", place.path + "/b")
        #expect(!disk.exists(first))
        #expect(try !disk.remove(first))
        try disk.open(first, .createIfMissing).write([1], at: 0)
        let held = try disk.open(second, .createNew)
        try held.write([2, 2], at: 0)
        try disk.rename(first, to: second)
        #expect(!disk.exists(first) && disk.exists(second))
        #expect(try disk.open(second, .read).read(at: 0, count: 9) == [1])
        #expect(try held.read(at: 0, count: 9) == [2, 2], "an open file without a name")
        try held.write([3], at: 0)
        #expect(try held.read(at: 0, count: 9) == [3, 2])
        try disk.makeDirectory(place.path + "/c")
        try disk.makeDirectory(place.path + "/c")
        try disk.open(place.path + "/c/x", .createNew).write([1], at: 0)
        #expect(try disk.names(in: place.path).filter { !$0.hasPrefix(".") }.sorted() == ["b", "c"])
        #expect(try disk.names(in: place.path + "/c").filter { !$0.hasPrefix(".") } == ["x"])
        try disk.synchronizeDirectory(place.path)
        #expect(try disk.remove(second))
        #expect(!disk.exists(second))
    }

    @Test(arguments: [false, true]) func whatCannotBeIsRefused(_ isVirtual: Bool) throws {
        let place = try Place(isVirtual: isVirtual)
        let disk = place.disk
        let path = place.path + "/"
        place.expect("open", "a", ENOENT) { _ = try disk.open(path + "a", .read) }
        place.expect("open", "a", ENOENT) { _ = try disk.open(path + "a", .readWrite) }
        place.expect("open", "n/a", ENOENT) { _ = try disk.open(path + "n/a", .createNew) }
        place.expect("examine", "a", ENOENT) { _ = try disk.length(of: path + "a") }
        place.expect("list", "a", ENOENT) { _ = try disk.names(in: path + "a") }
        place.expect("replace", "b", ENOENT) { try disk.rename(path + "a", to: path + "b") }
        place.expect("make directory", "n/a", ENOENT) { try disk.makeDirectory(path + "n/a") }
        place.expect("open", "n", ENOENT) { try disk.synchronizeDirectory(path + "n") }
        _ = try disk.open(path + "a", .createNew)
        place.expect("open", "a", EEXIST) { _ = try disk.open(path + "a", .createNew) }
        place.expect("write", "a", EBADF) { try disk.open(path + "a", .read).write([1], at: 0) }
        place.expect("truncate", "a", EINVAL) { try disk.open(path + "a", .read).truncate(to: 0) }
    }

    @Test(arguments: [false, true]) func aLockIsHeldOnceAndUntilReleased(_ isVirtual: Bool) throws {
        let place = try Place(isVirtual: isVirtual)
        let path = place.path + "/LOCK"
        do {
            let lock = try place.disk.lock(path)
            #expect(place.disk.exists(path))
            #expect(throws: StorageError.locked(path: path)) { _ = try place.disk.lock(path) }
            withExtendedLifetime(lock) {}
        }
        withExtendedLifetime(try place.disk.lock(path)) {}
    }

    @Test(arguments: [false, true]) func smallFilesAreReplacedWhole(_ isVirtual: Bool) throws {
        let place = try Place(isVirtual: isVirtual)
        let path = place.path + "/a"
        for content in [[1, 2, 3], [4]] as [[UInt8]] {
            try AtomicFile.write(content, to: path, disk: place.disk)
            #expect(try place.disk.open(path, .read).read(at: 0, count: 9) == content)
            #expect(try place.disk.names(in: place.path).filter { !$0.hasPrefix(".") } == ["a"])
        }
        try AtomicFile.remove(path, disk: place.disk)
        try AtomicFile.remove(path, disk: place.disk)
        #expect(!place.disk.exists(path))
    }

    /// A store that is stopped and restarted leaves the same files with the same lengths.
    @Test func aStoreLeavesTheSameFiles() throws {
        let chain = try StorageRun.chain.get()
        var found: [[String]] = []
        for isVirtual in [false, true] {
            let place = try Place(isVirtual: isVirtual)
            let path = place.path + "/s"
            for range in [0..<5, 5..<9] {
                let store = try BlockStore(
                    directory: path, segmentSize: StorageRun.segmentSize,
                    indexLimits: StorageRun.indexLimits, disk: place.disk)
                let log = try VoteLog(directory: path, disk: place.disk)
                for link in chain.links[range] { try log.record(StorageRun.vote(link.block)) }
                try chain.append(range, to: store)
                try store.maintainIndex()
                try BlockStoreTests.expect(store, holds: chain, range.upperBound)
                try store.close()
            }
            let names = try ["", "/index"].flatMap { folder in
                try place.disk.names(in: path + folder).filter { !$0.hasPrefix(".") && $0 != "index" }
                    .map { folder + "/" + $0 }
            }
            found.append(try names.sorted().map { "\($0) \(try place.disk.length(of: path + $0))" })
        }
        #expect(found[0] == found[1])
        #expect(found[0].count > 6)
    }
}
