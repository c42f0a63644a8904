import Bytes
import Crypto
import Synchronization
import TestSupport
import Testing

@testable import Storage

/// What the kernel's cache forgets of the block log.
@Suite struct ForgottenPagesTests {
    private func record(_ height: Int64, _ content: SharedBytes) -> (BlockRecord, parts: [SharedBytes]) {
        let record = BlockRecord(
            height: height, hash: .zero, block: .init(of: content), commitInfo: .init(of: SharedBytes()),
            results: .init(of: SharedBytes()))
        return (record, [content, SharedBytes(), SharedBytes()])
    }

    @Test func aLongAppendOfSeveralBlocksIsForgottenOnceItIsDurable() throws {
        let directory = try TemporaryDirectory()
        let calls = Mutex([String]())
        var system = DiskCalls.system
        system.synchronize = { file in
            calls.withLock { $0.append("synchronize") }
            return DiskCalls.system.synchronize(file)
        }
        system.forget = { file, offset, length in
            calls.withLock { $0.append("forget \(offset), \(length)") }
            return DiskCalls.system.forget(file, offset, length)
        }
        let path = "\(directory.path)/log"
        var segment = try ActiveSegment(
            creating: path, firstHeight: 1, directory: directory.path, disk: SystemDisk(calls: system))
        let large = SharedBytes([UInt8](repeating: 1, count: ActiveSegment.leastForgotten))
        let small = SharedBytes([UInt8](repeating: 2, count: 1_000))
        calls.withLock { $0 = [] }

        // A single block is new, so that peers ask for it; two small ones are not worth a call.
        try segment.append([record(1, large)])
        try segment.append([record(2, small), record(3, small)])
        #expect(calls.withLock { $0 } == ["synchronize", "synchronize"])

        calls.withLock { $0 = [] }
        let begin = segment.end
        try segment.append([record(4, large), record(5, small)])
        // The last page stays for the next append.
        let length = segment.end / 4_096 * 4_096 - begin
        #expect(calls.withLock { $0 } == ["synchronize", "forget \(begin), \(length)"])

        // Nothing is lost.
        let bytes = try SystemDisk.shared.open(path, .read).read(at: begin, count: segment.end - begin)
        let first = BlockRecord.headerSize + large.count
        #expect(bytes.dropFirst(BlockRecord.headerSize).prefix(large.count).allSatisfy { $0 == 1 })
        #expect(bytes[(first / 8 * 8 + BlockRecord.headerSize)...].prefix(small.count).allSatisfy { $0 == 2 })
    }
}
