import Bytes
import Multiformats
import Testing

@Suite struct HostPortTests {
    @Test(arguments: [
        ("127.0.0.1:6600", "127.0.0.1", 6600), ("[::1]:0", "::1", 0), ("[::]:65535", "::", 65535),
        ("localhost:1", "localhost", 1), ("node-1.example.org:8484", "node-1.example.org", 8484),
        ("[::ffff:1.2.3.4]:5", "::ffff:1.2.3.4", 5),
    ])
    func isRead(_ text: String, _ host: String, _ port: UInt16) throws {
        let place = try HostPort(text)
        #expect(place.host == host && place.port == port)
        #expect(place.description == text)
        #expect(try HostPort(place.description) == place)
    }

    @Test(arguments: [
        ("", "is not host:port"), ("host", "is not host:port"), ("host:", "is not host:port"),
        ("host:65536", "is not host:port"), ("host:-1", "is not host:port"), ("host:+1", "is not host:port"),
        ("host: 1", "is not host:port"), ("::1:6600", "without brackets"), ("fe80::1:1", "without brackets"),
        (":6600", "has no host"), ("[::1:6600", "without brackets"), ("[1.2.3.4]:1", "has a host that"),
        ("[]:1", "has a host that"), ("1.2.3:1", "has a host that"), ("1.2.3.4.5:1", "has a host that"),
        ("256.1.1.1:1", "has a host that"), ("a b:1", "has a host that"), ("a/b:1", "has a host that"),
        ("é:1", "has a host that"), ("a\u{0}:1", "has a host that"),
    ])
    func isRefused(_ text: String, _ reason: String) {
        do {
            _ = try HostPort(text)
            Issue.record("\(text) was accepted")
        } catch {
            #expect(error.description.contains(reason), "\(text): \(error)")
        }
    }
}
