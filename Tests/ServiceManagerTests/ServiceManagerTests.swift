import Bytes
import Glibc
import TestSupport
import Testing

@testable import ServiceManager

@Suite struct ServiceManagerTests {
    private static let process: Int32 = 4711

    private func manager(_ variables: KeyValuePairs<StaticString, String>) throws(ServiceManagerError)
        -> ServiceManager
    {
        try ServiceManager(process: Self.process) { name in
            variables.first { "\($0.key)" == "\(name)" }.map { Array($0.value.utf8) }
        }
    }

    /// A datagram socket as a service manager has one, at a path or an abstract name.
    private final class Listener {
        let name: String
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)

        init(_ name: String) throws {
            self.name = name
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            var bytes = Array(name.utf8)
            if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
            let length = socklen_t(2 + bytes.count + (bytes[0] == 0 ? 0 : 1))
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
            }
            try #require(result == 0)
        }

        deinit { close(descriptor) }

        func next() -> String? {
            var bytes = [UInt8](repeating: 0, count: 1024)
            let count = recv(descriptor, &bytes, bytes.count, 0)
            return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
        }
    }

    @Test func notificationsReachAPathAndAnAbstractName() throws {
        let directory = try TemporaryDirectory()
        for name in [directory.path + "/notify", "@apus-test-\(getpid())"] {
            let listener = try Listener(name)
            let manager = try manager(["NOTIFY_SOCKET": name])
            #expect(manager.notify(.ready, .status("started")))
            #expect(listener.next() == "READY=1\nSTATUS=started")
            #expect(manager.notify(.watchdog))
            #expect(listener.next() == "WATCHDOG=1")
        }
    }

    /// A manager that is gone or busy must not hold up a reactor.
    @Test func whatNobodyTakesIsDropped() throws {
        let directory = try TemporaryDirectory()
        let manager = try manager(["NOTIFY_SOCKET": directory.path + "/notify"])
        #expect(!manager.notify(.ready))
        let listener = try Listener(directory.path + "/notify")
        var sent = 0
        while sent < 100_000, manager.notify(.watchdog) { sent += 1 }
        #expect(sent < 100_000)
        #expect(listener.next() == "WATCHDOG=1")
        #expect(manager.notify(.watchdog))
    }

    @Test func aProcessThatNobodySupervisesSendsNothing() throws {
        let manager = try manager([:])
        #expect(manager.notify(.ready))
        #expect(manager.watchdogTime == nil)
        #expect(manager.sockets.isEmpty)
        #expect(try self.manager(["NOTIFY_SOCKET": ""]).notify(.ready))
    }

    @Test(arguments: ["notify", "vsock:2:1234", "@", "/", "/" + String(repeating: "x", count: 107)])
    func aNameOfNoSocketIsRefused(_ name: String) {
        #expect(throws: ServiceManagerError.self) { try manager(["NOTIFY_SOCKET": name]) }
    }

    @Test func theWatchdogWatchesThisProcessOnly() throws {
        #expect(try manager(["WATCHDOG_USEC": "3000000"]).watchdogTime == .seconds(3))
        #expect(
            try manager(["WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "4711"]).watchdogTime == .seconds(3))
        #expect(try manager(["WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "4712"]).watchdogTime == nil)
        #expect(try manager(["WATCHDOG_USEC": "0"]).watchdogTime == nil)
        for wrong in ["", "-1", "1s", "99999999999999999999", "9223372036854775807", "+1", " 1"] {
            #expect(throws: ServiceManagerError.self) { try manager(["WATCHDOG_USEC": wrong]) }
        }
    }

    @Test func aCredentialIsAFileOfTheDirectory() throws {
        let directory = try TemporaryDirectory()
        #expect(try manager([:]).credential("key") == nil)
        #expect(try manager(["CREDENTIALS_DIRECTORY": directory.path]).credential("key") == nil)
        try TestFile.write([1], to: directory.path + "/key")
        #expect(
            try manager(["CREDENTIALS_DIRECTORY": directory.path]).credential("key") == directory.path
                + "/key")
        #expect(try manager(["CREDENTIALS_DIRECTORY": "relative"]).credential("key") == nil)
    }

    @Test func socketsArePassedByNumberAndName() throws {
        let passed = try PassedSocket.all(
            process: Self.process, pid: Array("4711".utf8), count: Array("2".utf8), names: Array("a:b".utf8))
        #expect(passed == [PassedSocket(descriptor: 3, name: "a"), PassedSocket(descriptor: 4, name: "b")])
    }

    private static let ofOthers: [(pid: String?, count: String?, names: String?)] = [
        ("4712", "2", "a:b"), (nil, "2", "a:b"), ("4711", nil, "a:b"), ("4711", "0", ""), ("4711", "0", nil),
    ]

    @Test(arguments: ofOthers)
    func socketsOfOthersAreIgnored(_ pid: String?, _ count: String?, _ names: String?) throws {
        let passed = try PassedSocket.all(
            process: Self.process, pid: pid.map { Array($0.utf8) }, count: count.map { Array($0.utf8) },
            names: names.map { Array($0.utf8) })
        #expect(passed.isEmpty)
    }

    private static let impossible: [(pid: String, count: String, names: String?)] = [
        ("4711", "17", nil), ("4711", "-1", nil), ("4711", "1000000000000000000000", nil), ("x", "1", nil),
        ("4711", "2", "a"), ("4711", "1", "a:b"), ("4711", "1 ", "a"), ("4711", "0x1", "a"),
    ]

    @Test(arguments: impossible)
    func impossibleSocketsAreRefused(_ pid: String, _ count: String, _ names: String?) {
        #expect(throws: ServiceManagerError.self) {
            try PassedSocket.all(
                process: Self.process, pid: Array(pid.utf8), count: Array(count.utf8),
                names: names.map { Array($0.utf8) })
        }
    }
}
