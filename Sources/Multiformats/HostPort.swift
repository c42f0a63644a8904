/// An endpoint written as `host:port`: a name, an IPv4 address, or an IPv6 address in brackets. The only
/// parser of that form.
public struct HostPort: Hashable, Sendable, CustomStringConvertible {
    /// The reason a text is not `host:port`, phrased to follow the text itself.
    public enum Failure: Error, CustomStringConvertible {
        case notHostAndPort
        case noBrackets
        case noHost
        case malformedHost

        /// What is wrong, and what to write instead.
        public var description: String {
            switch self {
            case .notHostAndPort: "is not host:port with a port from 0 to 65535"
            case .noBrackets: "has an IPv6 address without brackets; write [::1]:6600"
            case .noHost:
                "has no host; use 0.0.0.0 for every IPv4 address of this machine, or [::] for every address of both families"
            case .malformedHost:
                "has a host that is not a name, an IPv4 address or an IPv6 address in brackets"
            }
        }
    }

    /// A name or an IP address, without brackets.
    public let host: String
    /// The TCP port. When listening, 0 selects any free port.
    public let port: UInt16

    /// Parses `host:port`.
    public init(_ text: some StringProtocol) throws(Failure) {
        let text = String(text)
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else { throw .notHostAndPort }
        let (host, digits) = (text[..<colon], text[text.utf8.index(after: colon)...])
        // Swift's integer parser accepts a sign.
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let port = UInt16(digits)
        else { throw .notHostAndPort }
        self.port = port
        if host.isEmpty { throw .noHost }
        if host.hasPrefix("["), host.hasSuffix("]") {
            let inner = host.dropFirst().dropLast()
            guard IPv6Address(inner) != nil else { throw .malformedHost }
            self.host = String(inner)
            return
        }
        guard !host.utf8.contains(UInt8(ascii: ":")) else { throw .noBrackets }
        let isNumeric = host.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 || $0 == UInt8(ascii: ".") }
        guard isNumeric ? IPv4Address(host) != nil : host.utf8.allSatisfy(Self.isNameByte) else {
            throw .malformedHost
        }
        self.host = String(host)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// The address, unless the host is a name.
    public var ip: IP? { IP(host) }

    /// The text that `init` parses.
    public var description: String {
        ip?.isIPv6 == true || host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
