import Bytes
import Collections
import Multiformats
import TestSupport
import Testing

@Suite struct MultiaddrTests {
    static let peer = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"

    /// Text and binary forms.
    @Test(arguments: [
        ("/ip4/127.0.0.1/tcp/4001", "047f000001060fa1"),
        ("/ip4/1.2.3.4/udp/0", "0401020304910200 00"),
        ("/ip6/2601:9:4f81:9700:803e:ca65:66e8:c21", "29260100094f819700803eca6566e80c21"),
        ("/dns4/example.com/tcp/443/wss", "360b6578616d706c652e636f6d0601bbde03"),
        ("/ip6/::1/tcp/6600", "29000000000000000000000000000000010619c8"),
        ("/ip4/127.0.0.1/udp/1234/quic-v1", "047f000001910204d2cd03"),
        ("/dnsaddr/bootstrap.libp2p.io", "3813626f6f7473747261702e6c69627032702e696f"),
        ("/ip6zone/eth0/ip6/fe80::1/tcp/1", "2a046574683029fe80000000000000000000000000000106 0001"),
        (
            "/dns/a/tcp/1/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N/p2p-circuit",
            "350161060001a503221 2209dff3b17d74cf4d38a50d8b6383e92d181a10395a5e73a726dcccbd21bf6f0b9a202"
        ),
    ])
    func knownAnswers(_ text: String, _ hex: String) throws {
        let bytes = try Hex.decode(hex.filter { $0 != " " })
        let address = try Multiaddr(text)
        #expect(Hex.encode(address.bytes) == Hex.encode(bytes))
        #expect(try Multiaddr(bytes: bytes) == address)
        #expect(address.description == text)
    }

    @Test func transportIsHostAndPort() throws {
        let address = try Multiaddr("/ip4/10.0.0.1/tcp/6600/p2p/\(Self.peer)")
        #expect(try address.peerID == PeerID(Self.peer))
        #expect(address.transport?.port == 6600)
        #expect(address.transport?.host == .ip(IP(IPv4Address(value: 0x0A00_0001))))
        #expect(try address.withoutPeerID == Multiaddr("/ip4/10.0.0.1/tcp/6600"))
        #expect(try address.withoutPeerID.appending(.p2p(PeerID(Self.peer))) == address)
        #expect(try Multiaddr("/dns6/a.b/tcp/1").transport?.host == .dns6("a.b"))
        for other in ["/ip4/1.1.1.1/udp/1", "/ip4/1.1.1.1/tcp/1/ws", "/ip4/1.1.1.1", "/p2p/\(Self.peer)"] {
            #expect(try Multiaddr(other).transport == nil, "\(other)")
        }
        #expect(try Multiaddr(ip: #require(IP("::1")), tcp: 5) == Multiaddr("/ip6/::1/tcp/5"))
    }

    @Test func olderTextFormsAreRead() throws {
        #expect(try Multiaddr("/ip4/1.2.3.4/tcp/1/") == Multiaddr("/ip4/1.2.3.4/tcp/1"))
        #expect(try Multiaddr("/ipfs/\(Self.peer)").description == "/p2p/\(Self.peer)")
    }

    @Test(arguments: [
        "", "/", "//", "ip4/1.2.3.4", "/ip4", "/ip4/", "/ip4/1.2.3", "/ip4/1.2.3.4.5", "/ip4/01.2.3.4",
        "/ip4/256.1.1.1",
        "/ip4/+1.2.3.4", "/ip6/1.2.3.4", "/ip6/:::", "/ip6/1::2::3", "/ip6/1:2:3:4:5:6:7:8:9", "/ip6/12345::",
        "/ip6/1:2:3:4:5:6:7", "/ip6/::+1", "/ip6/fe80::1%eth0", "/tcp/65536", "/tcp/-1", "/tcp/+1", "/tcp/",
        "/tcp/1x",
        "/dns4/", "/dns4/a b", "/p2p/", "/p2p/x", "/bogus/1", "/ip4/1.2.3.4//tcp/1", "/ip4/1.2.3.4/tcp",
    ])
    func badTextIsRefused(_ text: String) {
        #expect(throws: BytesError.self) { try Multiaddr(text) }
    }

    @Test(arguments: [
        "", "04", "047f0000", "06", "0600", "ff", "ffffffffffffffffffff", "8400", "047f00000100", "35",
        "3500", "3502 61",
        "350161 35ffffffffffffffffff01", "3501ff", "35022f61", "a50300", "a5032212209dff", "a50303000201",
    ])
    func badBytesAreRefused(_ hex: String) throws {
        let bytes = try Hex.decode(hex.filter { $0 != " " })
        #expect(throws: BytesError.self) { try Multiaddr(bytes: bytes) }
    }

    @Test func sizeIsBounded() throws {
        let many = String(repeating: "/tcp/1", count: Multiaddr.componentLimit + 1)
        #expect(throws: BytesError.tooLarge(17, limit: 16)) { try Multiaddr(many) }
        let long = "/dns/" + String(repeating: "a", count: 254)
        #expect(throws: BytesError.tooLarge(254, limit: 253)) { try Multiaddr(long) }
        #expect(throws: BytesError.self) {
            try Multiaddr(bytes: [UInt8](repeating: 6, count: Multiaddr.byteLimit + 1))
        }
        #expect(throws: BytesError.self) {
            try Multiaddr(String(repeating: "/", count: Multiaddr.textLimit + 1))
        }
    }

    @Test(arguments: [
        ("::", "::"), ("0:0:0:0:0:0:0:0", "::"), ("1::", "1::"), ("::1", "::1"),
        ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
        ("2001:DB8::0:1", "2001:db8::1"), ("1:2:3:4:5:6:0:8", "1:2:3:4:5:6:0:8"),
        ("1:0:0:4:5:0:0:8", "1::4:5:0:0:8"),
        ("::ffff:1.2.3.4", "::ffff:1.2.3.4"), ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
    ])
    func ipv6TextIsCanonical(_ text: String, _ canonical: String) throws {
        let address = try #require(IPv6Address(text))
        #expect(address.description == canonical)
        #expect(IPv6Address(canonical) == address)
    }

    @Test func randomBytesNeverTrap() {
        var random = SeededGenerator(seed: 421)
        let codes: [UInt8] = [4, 6, 41, 42, 53, 54, 55, 56, 0xA5, 3, 0x91, 2, 0, 1, 0x7F, 0x80, 0xFF, 0x22]
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...40, using: &random)
            let bytes = (0..<count).map { _ in codes.randomElement(using: &random) ?? 0 }
            guard let address = try? Multiaddr(bytes: bytes) else { continue }
            #expect(address.bytes == bytes)
            #expect((try? Multiaddr(address.description)) == address, "\(address)")
        }
    }
}
