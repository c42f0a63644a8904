import Testing

@testable import ServiceManager

@Suite struct NotificationTests {
    @Test(arguments: [
        (Notification.ready, "READY=1"), (.stopping, "STOPPING=1"), (.watchdog, "WATCHDOG=1"),
        (.status("validator at height 7"), "STATUS=validator at height 7"),
        (.reloading(since: .seconds(3) + .nanoseconds(1999)), "RELOADING=1\nMONOTONIC_USEC=3000001"),
        (.extendTimeout(.seconds(2)), "EXTEND_TIMEOUT_USEC=2000000"),
        (.extendTimeout(.seconds(-2)), "EXTEND_TIMEOUT_USEC=0"),
    ])
    func linesAreAsDocumented(_ notification: Notification, _ line: String) {
        #expect(notification.line == line)
    }

    /// Text in a status comes from elsewhere: it must not add a line of its own.
    @Test func aStatusIsOneShortLine() {
        #expect(Notification.status("failed\nMAINPID=1").line == "STATUS=failed")
        let long = Notification.status(String(repeating: "é", count: 500)).line
        #expect(long.utf8.count == "STATUS=".utf8.count + Notification.statusLimit)
    }

    @Test func aDatagramHoldsSeveralLines() {
        #expect(Notification.datagram([.ready, .status("started")]) == Array("READY=1\nSTATUS=started".utf8))
    }
}
