import Bytes

extension Multiaddr {
    /// One protocol of an address, with its value.
    public enum Component: Hashable, Sendable {
        /// An IPv4 address.
        case ip4(IPv4Address)
        /// An IPv6 address.
        case ip6(IPv6Address)
        /// The zone of the IPv6 address that follows.
        case ip6zone(String)
        /// A name with addresses of either family.
        case dns(String)
        /// A name with IPv4 addresses.
        case dns4(String)
        /// A name with IPv6 addresses.
        case dns6(String)
        /// A name whose TXT records hold multiaddrs.
        case dnsaddr(String)
        /// A TCP port.
        case tcp(UInt16)
        /// A UDP port.
        case udp(UInt16)
        /// The server name that a TLS client sends.
        case sni(String)
        /// A peer ID.
        case p2p(PeerID)
        /// A protocol without a value.
        case plain(Plain)
    }

    /// Protocols without a value, by their codes in the multicodec table.
    public enum Plain: UInt64, Hashable, Sendable, CaseIterable {
        /// WebRTC without signalling.
        case webrtcDirect = 280
        /// WebRTC, signalled through a relay.
        case webrtc = 281
        /// A circuit relay.
        case circuit = 290
        /// UDT.
        case udt = 301
        /// UTP.
        case utp = 302
        /// HTTPS.
        case https = 443
        /// TLS.
        case tls = 448
        /// Noise.
        case noise = 454
        /// QUIC, draft 29.
        case quic = 460
        /// QUIC, version 1.
        case quicV1 = 461
        /// WebTransport.
        case webtransport = 465
        /// WebSocket.
        case ws = 477
        /// WebSocket over TLS.
        case wss = 478
        /// HTTP.
        case http = 480

        /// The name in the multicodec table.
        var name: String {
            switch self {
            case .webrtcDirect: "webrtc-direct"
            case .circuit: "p2p-circuit"
            case .quicV1: "quic-v1"
            default: "\(self)"
            }
        }
    }
}

extension Multiaddr.Component {
    /// Codes of the protocols with a value, named as in the multicodec table.
    private enum Code: UInt64, CaseIterable {
        case ip4 = 4
        case tcp = 6
        case ip6 = 41
        case ip6zone = 42
        case dns = 53
        case dns4 = 54
        case dns6 = 55
        case dnsaddr = 56
        case udp = 273
        case p2p = 421
        case sni = 449
    }

    /// The longest name, in bytes (RFC 1035, section 2.3.4).
    private static let nameLimit = 253

    private static func checkName(_ name: String) throws(BytesError) -> String {
        guard name.utf8.count <= nameLimit else { throw .tooLarge(name.utf8.count, limit: nameLimit) }
        let printable = name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") }
        guard !name.isEmpty, printable else { throw .invalid("a host name") }
        return name
    }

    private static func port(_ text: String) throws(BytesError) -> UInt16 {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }),
            let port = UInt16(text)
        else { throw .invalid("a port") }
        return port
    }

    /// Parses the protocol `name` and its value, which `next` returns; `ipfs` is the old name of `p2p`.
    init(name: String, next: () throws(BytesError) -> String) throws(BytesError) {
        if let plain = Multiaddr.Plain.allCases.first(where: { $0.name == name }) {
            self = .plain(plain)
            return
        }
        let current = name == "ipfs" ? "p2p" : name
        guard let code = Code.allCases.first(where: { "\($0)" == current }) else {
            throw .invalid("a known multiaddr protocol")
        }
        let text = try next()
        switch code {
        case .ip4:
            guard let address = IPv4Address(text) else { throw .invalid("an IPv4 address") }
            self = .ip4(address)
        case .ip6:
            guard let address = IPv6Address(text) else { throw .invalid("an IPv6 address") }
            self = .ip6(address)
        case .ip6zone: self = .ip6zone(try Self.checkName(text))
        case .dns: self = .dns(try Self.checkName(text))
        case .dns4: self = .dns4(try Self.checkName(text))
        case .dns6: self = .dns6(try Self.checkName(text))
        case .dnsaddr: self = .dnsaddr(try Self.checkName(text))
        case .sni: self = .sni(try Self.checkName(text))
        case .tcp: self = .tcp(try Self.port(text))
        case .udp: self = .udp(try Self.port(text))
        case .p2p: self = .p2p(try PeerID(text))
        }
    }

    /// Parses the binary form.
    init(from reader: inout ByteReader) throws(BytesError) {
        func name() throws(BytesError) -> String {
            let count = try reader.uvarint()
            guard count <= UInt64(Self.nameLimit) else {
                throw .tooLarge(Int(clamping: count), limit: Self.nameLimit)
            }
            return try Self.checkName(reader.text(Int(clamping: count)))
        }
        let number = try reader.uvarint()
        if let plain = Multiaddr.Plain(rawValue: number) {
            self = .plain(plain)
            return
        }
        switch Code(rawValue: number) {
        case .ip4: self = .ip4(IPv4Address(value: try reader.u32BE()))
        case .ip6: self = .ip6(IPv6Address(high: try reader.u64BE(), low: try reader.u64BE()))
        case .ip6zone: self = .ip6zone(try name())
        case .dns: self = .dns(try name())
        case .dns4: self = .dns4(try name())
        case .dns6: self = .dns6(try name())
        case .dnsaddr: self = .dnsaddr(try name())
        case .sni: self = .sni(try name())
        case .tcp: self = .tcp(try reader.u16BE())
        case .udp: self = .udp(try reader.u16BE())
        case .p2p: self = .p2p(try PeerID(bytes: reader.bytes(reader.uvarint()).array))
        case nil: throw .invalid("a known multiaddr protocol")
        }
    }

    private var protocolName: (code: UInt64, name: String) {
        let code: Code
        switch self {
        case .ip4: code = .ip4
        case .ip6: code = .ip6
        case .ip6zone: code = .ip6zone
        case .dns: code = .dns
        case .dns4: code = .dns4
        case .dns6: code = .dns6
        case .dnsaddr: code = .dnsaddr
        case .tcp: code = .tcp
        case .udp: code = .udp
        case .sni: code = .sni
        case .p2p: code = .p2p
        case .plain(let plain): return (plain.rawValue, plain.name)
        }
        return (code.rawValue, "\(code)")
    }

    func write(to writer: inout ByteWriter) {
        writer.put(uvarint: protocolName.code)
        switch self {
        case .ip4(let address): writer.putBE(u32: address.value)
        case .ip6(let address):
            writer.putBE(u64: address.high)
            writer.putBE(u64: address.low)
        case .ip6zone(let name), .dns(let name), .dns4(let name), .dns6(let name), .dnsaddr(let name),
            .sni(let name):
            writer.put(uvarint: UInt64(name.utf8.count))
            writer.put(text: name)
        case .tcp(let port), .udp(let port): writer.putBE(u16: port)
        case .p2p(let peer):
            writer.put(uvarint: UInt64(peer.bytes.count))
            writer.put(bytes: peer.bytes)
        case .plain: break
        }
    }
}

extension Multiaddr.Component: CustomStringConvertible {
    /// The text of the value; empty without one.
    var value: String {
        switch self {
        case .ip4(let address): address.description
        case .ip6(let address): address.description
        case .ip6zone(let name), .dns(let name), .dns4(let name), .dns6(let name), .dnsaddr(let name),
            .sni(let name):
            name
        case .tcp(let port), .udp(let port): "\(port)"
        case .p2p(let peer): peer.description
        case .plain: ""
        }
    }

    /// `/name` or `/name/value`.
    public var description: String {
        if case .plain(let plain) = self { return "/\(plain.name)" }
        return "/\(protocolName.name)/\(value)"
    }
}
