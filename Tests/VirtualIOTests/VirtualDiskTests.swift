import Glibc
import Storage
import Testing

@testable import VirtualIO

/// What survives what on a virtual disk.
@Suite struct VirtualDiskTests {
    private static func disk(_ seed: UInt64) throws -> (VirtualDisk, any Disk) {
        let disk = VirtualDisk(seed: seed)
        let mount = disk.mount()
        try mount.makeDirectory("d")
        return (disk, mount)
    }

    @Test(arguments: UInt64(0)..<50) func whatWasSynchronizedSurvivesAPowerFailure(_ seed: UInt64) throws {
        let (disk, mount) = try Self.disk(seed)
        let file = try mount.open("d/a", .createNew)
        try file.write([1, 2, 3], at: 0)
        try file.synchronize()
        try mount.synchronizeDirectory("d")
        try file.write([UInt8](repeating: 9, count: 4000), at: 3)
        disk.powerFail()
        let after = disk.mount()
        #expect(try after.open("d/a", .read).read(at: 0, count: 3) == [1, 2, 3])
        let rest = try after.open("d/a", .read).read(at: 3, count: 5000)
        #expect(rest.count <= 4000 && rest.allSatisfy { $0 == 9 || $0 == 0 })
        #expect(throws: StorageError.self) { try file.write([1], at: 0) }
        #expect(throws: StorageError.self) { _ = try mount.remove("d/a") }
        #expect(after.exists("d/a"))
    }

    @Test func partsOfWhatWasNotSynchronizedSurvive() throws {
        var kinds: Set<String> = []
        for seed in UInt64(0)..<200 {
            let (disk, mount) = try Self.disk(seed)
            let file = try mount.open("d/a", .createNew)
            try file.synchronize()
            try mount.synchronizeDirectory("d")
            try file.write([UInt8](repeating: 9, count: 5120), at: 0)
            disk.powerFail()
            let bytes = try disk.mount().open("d/a", .read).read(at: 0, count: 6000)
            let nines = bytes.count { $0 == 9 }
            #expect(nines % 512 == 0)
            kinds.insert(nines == 5120 ? "all" : nines > 0 ? "some" : bytes.isEmpty ? "none" : "zeros")
        }
        #expect(kinds == ["all", "some", "none", "zeros"])
    }

    @Test func namesNeedTheirDirectorySynchronized() throws {
        var seen: Set<Bool> = []
        for seed in UInt64(0)..<100 {
            let (disk, mount) = try Self.disk(seed)
            try mount.open("d/a", .createNew).synchronize()
            disk.powerFail()
            seen.insert(disk.mount().exists("d/a"))
        }
        #expect(seen == [true, false])
    }

    @Test func aKilledProcessLosesNothing() throws {
        let (disk, mount) = try Self.disk(1)
        let file = try mount.open("d/a", .createNew)
        try file.write([1, 2, 3], at: 0)
        let lock = try mount.lock("d/L")
        #expect(throws: StorageError.locked(path: "d/L")) { _ = try mount.lock("d/L") }
        disk.kill()
        let after = disk.mount()
        #expect(try after.open("d/a", .read).read(at: 0, count: 9) == [1, 2, 3])
        let second = try after.lock("d/L")
        withExtendedLifetime((lock, second)) {}
    }

    @Test func aFullDiskTakesAPart() throws {
        let (disk, mount) = try Self.disk(1)
        let file = try mount.open("d/a", .createNew)
        disk.setCapacity(10)
        #expect(throws: StorageError.self) { try file.write([UInt8](repeating: 1, count: 11), at: 0) }
        #expect(try file.length() == 10)
        try file.write([2], at: 0)
        disk.setCapacity(nil)
        try file.write([3], at: 10)
        #expect(disk.usedBytes == 11)
    }

    @Test func aDirectoryThatWasNotSynchronizedTakesItsFilesWithIt() throws {
        var seen: Set<Bool> = []
        for seed in UInt64(0)..<40 {
            let (disk, mount) = try Self.disk(seed)
            try mount.makeDirectory("d/e")
            let file = try mount.open("d/e/a", .createNew)
            try file.write([1], at: 0)
            try file.synchronize()
            try mount.synchronizeDirectory("d/e")
            disk.powerFail()
            let after = disk.mount()
            #expect(after.exists("d/e") == after.exists("d/e/a"))
            seen.insert(after.exists("d/e"))
        }
        #expect(seen == [true, false])
    }

    /// The next synchronization succeeds, and the power fails: what a failed one had lost is not there.
    @Test func aFailedSynchronizationMayLoseWhatItWasFor() throws {
        var seen: Set<String> = []
        for seed in UInt64(0)..<100 {
            let (disk, mount) = try Self.disk(seed)
            let file = try mount.open("d/a", .createNew)
            try mount.synchronizeDirectory("d")
            try file.write([1, 1], at: 0)
            disk.setHook { $0.kind == .synchronize ? EIO : nil }
            #expect(throws: StorageError.system(operation: "synchronize", path: "d/a", errno: EIO)) {
                try file.synchronize()
            }
            disk.setHook(nil)
            let before = try file.read(at: 0, count: 2)
            try file.write([2], at: 2)
            try file.synchronize()
            let memory = try file.read(at: 0, count: 3)
            disk.powerFail()
            let device = try disk.mount().open("d/a", .read).read(at: 0, count: 3)
            seen.insert("\(before) \(memory) \(device)")
        }
        #expect(
            seen == [
                "[1, 1] [1, 1, 2] [1, 1, 2]", "[1, 1] [1, 1, 2] [0, 0, 2]", "[] [0, 0, 2] [0, 0, 2]",
            ])
    }

    @Test func whatIsWrittenAgainAfterAFailedSynchronizationIsThere() throws {
        for seed in UInt64(0)..<100 {
            let (disk, mount) = try Self.disk(seed)
            let file = try mount.open("d/a", .createNew)
            try mount.synchronizeDirectory("d")
            try file.write([UInt8](repeating: 1, count: 3000), at: 0)
            disk.setHook { $0.kind == .synchronize ? EIO : nil }
            #expect(throws: StorageError.self) { try file.synchronize() }
            disk.setHook(nil)
            try file.truncate(to: 100)
            try file.write([UInt8](repeating: 2, count: 1500), at: 0)
            try file.synchronize()
            disk.powerFail()
            let device = try disk.mount().open("d/a", .read).read(at: 0, count: 5000)
            #expect(device == [UInt8](repeating: 2, count: 1500))
        }
    }

    @Test func aWriteInWhichTheProcessIsKilledEndsBetweenPages() throws {
        var lengths: Set<Int> = []
        for seed in UInt64(0)..<100 {
            let (disk, mount) = try Self.disk(seed)
            let file = try mount.open("d/a", .createNew)
            disk.setHook { [disk] _ in
                disk.kill()
                return nil
            }
            #expect(throws: StorageError.self) { try file.write([UInt8](repeating: 1, count: 9000), at: 100) }
            disk.setHook(nil)
            lengths.insert(try disk.mount().length(of: "d/a"))
        }
        #expect(lengths == [0, 4096, 8192, 9100])
    }

    @Test func allThatBelongsToADeadProcessIsDead() throws {
        let (disk, mount) = try Self.disk(1)
        let file = try mount.open("d/a", .createNew)
        for crash in [disk.kill, disk.powerFail, disk.wipe] {
            crash()
            try disk.mount().makeDirectory("d")
            for body in [
                { _ = try file.length() }, { _ = try file.read(at: 0, count: 1) }, { try file.synchronize() },
                { try file.truncate(to: 0) }, { _ = try mount.open("d/b", .createNew) },
                { _ = try mount.names(in: "d") }, { _ = try mount.length(of: "d/a") },
                { _ = try mount.lock("d/L") }, { try mount.makeDirectory("d/c") },
                { try mount.synchronizeDirectory("d") }, { try mount.rename("d/a", to: "d/b") },
            ] as [() throws -> Void] {
                #expect(throws: StorageError.self) { try body() }
            }
            #expect(!mount.exists("d"))
            withExtendedLifetime(try disk.mount().lock("d/L")) {}
        }
        #expect(disk.usedBytes == 0)
    }

    @Test func filesThatNobodyCanReachTakeNoRoom() throws {
        let (disk, mount) = try Self.disk(1)
        do {
            let file = try mount.open("d/a", .createNew)
            try file.write([1, 2, 3], at: 0)
            try mount.synchronizeDirectory("d")
            _ = try mount.remove("d/a")
            #expect(disk.usedBytes == 3, "a power failure may bring it back")
            try mount.synchronizeDirectory("d")
            #expect(disk.usedBytes == 3, "it is open")
            withExtendedLifetime(file) {}
        }
        #expect(disk.usedBytes == 0)
        for _ in 0..<100 { try AtomicFile.write([1, 2, 3, 4], to: "d/b", disk: mount) }
        #expect(disk.usedBytes == 4)
    }
}
