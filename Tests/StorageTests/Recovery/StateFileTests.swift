import TestSupport
import Testing
import VirtualIO

@testable import Storage

@Suite struct StateFileTests {
    private let content = [UInt8]("what the node knows".utf8)

    @Test func theFileIsReadAsItWasWritten() throws {
        let directory = try TemporaryDirectory()
        let file = StateFile(directory: directory.path, disk: SystemDisk.shared)
        #expect(try file.read() == nil)
        for content in [content, [], content + content] {
            try file.write(content)
            #expect(try file.read()?.array == content)
        }
    }

    @Test func aFlippedOrMissingByteIsNoticed() throws {
        let directory = try TemporaryDirectory()
        let file = StateFile(directory: directory.path, disk: SystemDisk.shared)
        let path = directory.path + "/STATE"
        try file.write(content)
        for offset in 0..<(try Tamper.length(path)) {
            try Tamper.flip(path, at: offset, bit: offset % 8)
            #expect(throws: StorageError.self, "byte \(offset)") { try file.read() }
            try Tamper.flip(path, at: offset, bit: offset % 8)
        }
        for length in 0..<(try Tamper.length(path)) {
            try file.write(content)
            try Tamper.truncate(path, to: length)
            #expect(throws: StorageError.self, "\(length) bytes") { try file.read() }
        }
    }

    @Test func aFileBeyondTheLimitIsRefused() throws {
        let directory = try TemporaryDirectory()
        let file = StateFile(directory: directory.path, disk: SystemDisk.shared)
        try file.write([UInt8](repeating: 7, count: StateFile.maxSize))
        #expect(try file.read() == nil)
        try file.write(content)
        try Tamper.truncate(directory.path + "/STATE", to: StateFile.maxSize + 1)
        #expect(throws: StorageError.self) { try file.read() }
    }

    /// A crash leaves the old content or the new.
    @Test(arguments: UInt64(0)..<20) func aCrashLeavesOneContent(_ seed: UInt64) throws {
        for number in 1...6 {
            let run = try StorageRun(seed: seed)
            try run.disk.mount().makeDirectory(StorageRun.directory)
            try run.disk.mount().synchronizeDirectory(AtomicFile.directory(of: StorageRun.directory))
            func file() -> StateFile { StateFile(directory: StorageRun.directory, disk: run.disk.mount()) }
            try file().write(content)
            run.plan(at: number) { disk in
                if seed % 2 == 0 { disk.powerFail() } else { disk.kill() }
                return nil
            }
            try? file().write(content + content)
            run.disk.setHook(nil)
            let found = try file().read()?.array
            #expect(found == content || found == content + content, "operation \(number)")
        }
    }
}
