import Metrics
import TestSupport
import Testing

@testable import Storage

@Suite struct FsyncMetricsTests {
    @Test func eachFsyncIsRecorded() throws {
        let directory = try TemporaryDirectory()
        let fsyncs = Histogram()
        let disk = SystemDisk(timing: fsyncs)
        let file = try disk.open("\(directory.path)/file", .createNew)
        try file.synchronize()
        try file.synchronize()
        let snapshot = fsyncs.snapshot()
        #expect(snapshot.count == 2)
        #expect(snapshot.sum > 0)
    }
}
