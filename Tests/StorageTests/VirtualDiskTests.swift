import Testing

@testable import Storage

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
}
