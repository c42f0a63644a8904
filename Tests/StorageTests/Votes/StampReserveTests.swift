import TestSupport
import Testing
import VirtualIO

@testable import Storage

@Suite struct StampReserveTests {
    @Test func whatWasReservedIsKnownAfterARestart() throws {
        let directory = try TemporaryDirectory()
        #expect(try VoteLog(directory: directory.path).stamps.end == 0)
        for end in [1_000, 5_000, 2_000] as [Int64] {
            let log = try VoteLog(directory: directory.path)
            try log.stamps.record(end)
            #expect(log.stamps.end == end)
            #expect(
                try VoteLog(directory: directory.path).stamps.end == end, "a lower end replaces a higher one")
        }
        #expect(try Tamper.length(directory.path + "/STAMP") == 32)
    }

    @Test func oneDamagedCopyIsNoLoss() throws {
        let disk = VirtualDisk(seed: 1)
        let mount = disk.mount()
        try mount.makeDirectory("a")
        try VoteLog(directory: "a", disk: mount).stamps.record(7_000)
        let path = "a/STAMP"
        for damaged in 0..<32 {
            let file = try mount.open(path, .readWrite)
            let whole = try file.read(at: 0, count: 32)
            try file.write([whole[damaged] ^ 0x10], at: damaged)
            #expect(try VoteLog(directory: "a", disk: mount).stamps.end == 7_000)
            try file.write([whole[damaged]], at: damaged)
        }
        let file = try mount.open(path, .readWrite)
        try file.write([0xFF], at: 5)
        try file.write([0xFF], at: 21)
        let error = #expect(throws: StorageError.self) { try VoteLog(directory: "a", disk: mount) }
        #expect("\(try #require(error))".contains("STAMP"))
    }

    @Test func aReservationIsOnTheDeviceWhenItIsSaid() throws {
        let disk = VirtualDisk(seed: 2)
        let mount = disk.mount()
        try mount.makeDirectory("a")
        try VoteLog(directory: "a", disk: mount).stamps.record(7_000)
        disk.powerFail()
        #expect(try VoteLog(directory: "a", disk: disk.mount()).stamps.end == 7_000)
    }
}
