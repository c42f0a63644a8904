/// A block of addresses, such as `10.0.0.0/8` or `2001:db8::/32`.
public struct IPNetwork: Hashable, Sendable, CustomStringConvertible {
    /// The lowest address.
    public let address: IP
    /// The number of leading bits that all its addresses share.
    public let bits: Int

    /// Creates the network of an address's first `bits` bits, limited to the address's width.
    public init(_ address: IP, bits: Int) {
        self.bits = max(0, min(bits, address.isIPv6 ? 128 : 32))
        let (first, second) = (min(self.bits, 64), max(self.bits - 64, 0))
        self.address = IP(
            high: address.high & Self.mask(first), low: address.low & Self.mask(second),
            isIPv6: address.isIPv6)
    }

    /// Parses `address/bits`, or an address alone. Returns nil for anything else, and if bits beyond the
    /// prefix are set.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first, parts.count <= 2, let address = IP(first) else { return nil }
        let width = address.isIPv6 ? 128 : 32
        var bits = width
        if parts.count == 2 {
            guard let number = UInt8(parts[1]), number <= width else { return nil }
            bits = Int(number)
        }
        self.init(address, bits: bits)
        guard self.address == address else { return nil }
    }

    /// Returns whether an address belongs to the network.
    public func contains(_ other: IP) -> Bool {
        other.isIPv6 == address.isIPv6 && IPNetwork(other, bits: bits).address == address
    }

    private static func mask(_ bits: Int) -> UInt64 { bits == 0 ? 0 : ~0 << UInt64(64 - bits) }

    /// `address/bits`.
    public var description: String { "\(address)/\(bits)" }
}

extension Multiaddr {
    /// The leading IP address, if the multiaddr begins with one.
    public var ip: IP? {
        switch components.first {
        case .ip4(let address): IP(address)
        case .ip6(let address): IP(address)
        default: nil
        }
    }

    /// Returns whether a host at `place` could dial this address: a machine's loopback and a private network
    /// are unreachable from outside. Names pass; a nil `place` means an unknown one.
    public func isReachable(from place: IP?) -> Bool {
        guard let ip else { return true }
        return ip.scope != .none && ip.scope >= (place?.scope ?? .global)
    }
}
