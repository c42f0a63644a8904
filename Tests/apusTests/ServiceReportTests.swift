import Node
import Testing

@testable import apus

@Suite struct ServiceReportTests {
    @Test func theStatusSaysWhatTheNodeDoes() {
        var status = NodeStatus()
        status.role = .validator
        status.height = 1234
        status.peerCount = 5
        #expect(ServiceReport.text(status) == "validator at height 1234, 5 peers")
        status.peerCount = 1
        status.trouble = "no peer"
        #expect(ServiceReport.text(status) == "validator at height 1234, 1 peer; no peer")
        status.isSyncing = true
        #expect(ServiceReport.text(status) == "syncing: 1234, 1 peer")
        status.syncTarget = 5000
        #expect(ServiceReport.text(status) == "syncing: 1234 of 5000, 1 peer")
    }
}
