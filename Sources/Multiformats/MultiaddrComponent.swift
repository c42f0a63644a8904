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

    /// Protocols without a value, named as in the multicodec table.
    public enum Plain: String, Hashable, Sendable, CaseIterable {
        /// UDT.
        case udt
        /// UTP.
        case utp
        /// A circuit relay.
        case circuit = "p2p-circuit"
        /// WebRTC, signalled through a relay.
        case webrtc
        /// WebRTC without signalling.
        case webrtcDirect = "webrtc-direct"
        /// TLS.
        case tls
        /// Noise.
        case noise
        /// QUIC, draft 29.
        case quic
        /// QUIC, version 1.
        case quicV1 = "quic-v1"
        /// WebTransport.
        case webtransport
        /// HTTPS.
        case https
        /// WebSocket.
        case ws
        /// WebSocket over TLS.
        case wss
        /// HTTP.
        case http
    }
}

extension Multiaddr.Component {
    /// Protocol codes of the multicodec table.
    enum Code: UInt64, CaseIterable {
        case ip4 = 4
        case tcp = 6
        case ip6 = 41
        case ip6zone = 42
        case dns = 53
        case dns4 = 54
        case dns6 = 55
        case dnsaddr = 56
        case udp = 273
        case webrtcDirect = 280
        case webrtc = 281
        case circuit = 290
        case udt = 301
        case utp = 302
        case p2p = 421
        case https = 443
        case tls = 448
        case sni = 449
        case noise = 454
        case quic = 460
        case quicV1 = 461
        case webtransport = 465
        case ws = 477
        case wss = 478
        case http = 480

        /// Returns the code with this text name; `ipfs` is the old name of `p2p`.
        init?(name: String) {
            if name == "ipfs" {
                self = .p2p
                return
            }
            guard let code = Code.allCases.first(where: { $0.name == name }) else { return nil }
            self = code
        }

        var plain: Multiaddr.Plain? {
            switch self {
            case .webrtcDirect: .webrtcDirect
            case .webrtc: .webrtc
            case .circuit: .circuit
            case .udt: .udt
            case .utp: .utp
            case .https: .https
            case .tls: .tls
            case .noise: .noise
            case .quic: .quic
            case .quicV1: .quicV1
            case .webtransport: .webtransport
            case .ws: .ws
            case .wss: .wss
            case .http: .http
            default: nil
            }
        }

        var name: String { plain?.rawValue ?? "\(self)" }
        var hasValue: Bool { plain == nil }
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

    init(_ code: Code, text: String) throws(BytesError) {
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
        default:
            guard let plain = code.plain else { throw .invalid("a known multiaddr protocol") }
            self = .plain(plain)
        }
    }

    init(_ code: Code, from reader: inout ByteReader) throws(BytesError) {
        func name() throws(BytesError) -> String {
            let count = try reader.uvarint()
            guard count <= UInt64(Self.nameLimit) else {
                throw .tooLarge(Int(clamping: count), limit: Self.nameLimit)
            }
            return try Self.checkName(reader.text(Int(clamping: count)))
        }
        switch code {
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
        default:
            guard let plain = code.plain else { throw .invalid("a known multiaddr protocol") }
            self = .plain(plain)
        }
    }

    var code: Code {
        switch self {
        case .ip4: .ip4
        case .ip6: .ip6
        case .ip6zone: .ip6zone
        case .dns: .dns
        case .dns4: .dns4
        case .dns6: .dns6
        case .dnsaddr: .dnsaddr
        case .tcp: .tcp
        case .udp: .udp
        case .sni: .sni
        case .p2p: .p2p
        case .plain(.udt): .udt
        case .plain(.utp): .utp
        case .plain(.circuit): .circuit
        case .plain(.webrtc): .webrtc
        case .plain(.webrtcDirect): .webrtcDirect
        case .plain(.tls): .tls
        case .plain(.noise): .noise
        case .plain(.quic): .quic
        case .plain(.quicV1): .quicV1
        case .plain(.webtransport): .webtransport
        case .plain(.https): .https
        case .plain(.ws): .ws
        case .plain(.wss): .wss
        case .plain(.http): .http
        }
    }

    func write(to writer: inout ByteWriter) {
        writer.put(uvarint: code.rawValue)
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
    /// `/name` or `/name/value`.
    public var description: String {
        let value: String
        switch self {
        case .ip4(let address): value = address.description
        case .ip6(let address): value = address.description
        case .ip6zone(let name), .dns(let name), .dns4(let name), .dns6(let name), .dnsaddr(let name),
            .sni(let name):
            value = name
        case .tcp(let port), .udp(let port): value = "\(port)"
        case .p2p(let peer): value = peer.description
        case .plain: return "/\(code.name)"
        }
        return "/\(code.name)/\(value)"
    }
}
