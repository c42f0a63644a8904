import Bytes
import Multiformats
import Testing

@Suite struct IPNetworkTests {
    @Test(arguments: [
        ("10.0.0.0/8", "10.255.1.2", true), ("10.0.0.0/8", "11.0.0.0", false),
        ("192.0.2.7", "192.0.2.7", true), ("192.0.2.7", "192.0.2.8", false),
        ("0.0.0.0/0", "203.0.113.9", true), ("0.0.0.0/0", "2001:db8::1", false),
        ("2001:db8::/32", "2001:db8:ffff::1", true), ("2001:db8::/32", "2001:db9::", false),
        ("2001:db8:0:0:8000::/65", "2001:db8::8000:0:0:1", true),
        ("2001:db8:0:0:8000::/65", "2001:db8::1", false), ("::1", "::1", true),
        ("127.0.0.0/8", "::ffff:127.0.0.1", true),
    ])
    func contains(_ network: String, _ address: String, _ expected: Bool) throws {
        #expect(try #require(IPNetwork(network)).contains(try #require(IP(address))) == expected)
    }

    @Test(arguments: [
        "", "/", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/-1", "::/129", "a/8", "10.0.0.0/8/8",
        "10.0.0/8",
    ])
    func refuses(_ text: String) { #expect(IPNetwork(text) == nil) }

    @Test(arguments: [
        ("0.0.0.0", IP.Scope.none), ("127.9.9.9", .loopback), ("10.1.1.1", .site), ("172.31.0.1", .site),
        ("172.32.0.1", .global), ("192.168.1.1", .site), ("100.127.0.1", .site), ("169.254.9.9", .link),
        ("224.0.0.1", .none), ("255.255.255.255", .none), ("203.0.113.1", .global), ("::", .none),
        ("::1", .loopback), ("fe80::1", .link), ("fd00::1", .site), ("ff02::1", .none),
        ("2001:db8::1", .global),
        ("::ffff:10.0.0.1", .site),
    ])
    func scopes(_ address: String, _ scope: IP.Scope) throws {
        #expect(try #require(IP(address)).scope == scope)
    }

    @Test func prefixesAndText() throws {
        #expect(try #require(IP("203.0.113.77")).network(16).description == "203.0.0.0/16")
        #expect(try #require(IP("2001:db8:1:2:3::4")).network(64).description == "2001:db8:1:2::/64")
        #expect(try Multiaddr("/ip4/10.0.0.1/tcp/1").ip == IP("10.0.0.1"))
        #expect(try Multiaddr("/dns/localhost/tcp/1").ip == nil)
    }
}
