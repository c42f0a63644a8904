/// An address of either family, without a port. An IPv4-mapped IPv6 address is the IPv4 address that it means.
public struct IP: Hashable, Sendable, CustomStringConvertible {
    /// The address's bits from the highest down; an IPv4 address stands in the first 32.
    fileprivate let high: UInt64
    fileprivate let low: UInt64
    /// Whether this is an IPv6 address.
    public let isIPv6: Bool

    /// An IPv4 address.
    public init(_ address: IPv4Address) {
        (high, low, isIPv6) = (UInt64(address.value) << 32, 0, false)
    }

    /// An IPv6 address, or the IPv4 address mapped into one.
    public init(_ address: IPv6Address) {
        if address.high == 0, address.low >> 32 == 0xFFFF {
            (high, low, isIPv6) = (address.low << 32, 0, false)
        } else {
            (high, low, isIPv6) = (address.high, address.low, true)
        }
    }

    /// Reads either family's text form.
    public init?(_ text: some StringProtocol) {
        if let four = IPv4Address(text) {
            self.init(four)
        } else if let six = IPv6Address(text) {
            self.init(six)
        } else {
            return nil
        }
    }

    fileprivate init(high: UInt64, low: UInt64, isIPv6: Bool) {
        (self.high, self.low, self.isIPv6) = (high, low, isIPv6)
    }

    /// From where an address can be reached, from the narrowest to the widest.
    public enum Scope: Int, Sendable, Comparable {
        /// Not an address of a host: unspecified, multicast, reserved.
        case none
        /// The same machine.
        case loopback
        /// The same link.
        case link
        /// The same private network (RFC 1918, RFC 4193, RFC 6598).
        case site
        /// Everywhere.
        case global

        /// Narrower before wider.
        public static func < (left: Scope, right: Scope) -> Bool { left.rawValue < right.rawValue }
    }

    /// From where the address can be reached.
    public var scope: Scope {
        for (network, scope) in Self.special where network.contains(self) { return scope }
        return .global
    }

    private static let special: [(IPNetwork, Scope)] =
        [
            ("0.0.0.0/8", Scope.none), ("127.0.0.0/8", .loopback), ("10.0.0.0/8", .site),
            ("172.16.0.0/12", .site), ("192.168.0.0/16", .site), ("100.64.0.0/10", .site),
            ("169.254.0.0/16", .link), ("224.0.0.0/3", .none),
            ("::/128", .none), ("::1/128", .loopback), ("fe80::/10", .link), ("fc00::/7", .site),
            ("ff00::/8", .none),
        ].compactMap { text, scope in IPNetwork(text).map { ($0, scope) } }

    /// The network of the address's first `bits` bits.
    public func network(_ bits: Int) -> IPNetwork { IPNetwork(self, bits: bits) }

    /// Dotted decimal, or the canonical text of RFC 5952.
    public var description: String {
        isIPv6
            ? IPv6Address(high: high, low: low).description
            : IPv4Address(value: UInt32(truncatingIfNeeded: high >> 32)).description
    }
}

/// A block of addresses, such as `10.0.0.0/8` or `2001:db8::/32`.
public struct IPNetwork: Hashable, Sendable, CustomStringConvertible {
    /// The lowest address.
    public let address: IP
    /// How many leading bits all its addresses have in common.
    public let bits: Int

    /// The network of an address's first `bits` bits; more than the address has mean all.
    public init(_ address: IP, bits: Int) {
        self.bits = max(0, min(bits, address.isIPv6 ? 128 : 32))
        let (first, second) = (min(self.bits, 64), max(self.bits - 64, 0))
        self.address = IP(
            high: address.high & Self.mask(first), low: address.low & Self.mask(second),
            isIPv6: address.isIPv6)
    }

    /// Reads `address/bits`, or an address alone. Nil for anything else, and when bits beyond the prefix are set.
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

    /// Whether an address is one of the network's.
    public func contains(_ other: IP) -> Bool {
        other.isIPv6 == address.isIPv6 && IPNetwork(other, bits: bits).address == address
    }

    private static func mask(_ bits: Int) -> UInt64 { bits == 0 ? 0 : ~0 << UInt64(64 - bits) }

    /// `address/bits`.
    public var description: String { "\(address)/\(bits)" }
}

extension Multiaddr {
    /// The IP address at the front, if the address begins with one.
    public var ip: IP? {
        switch components.first {
        case .ip4(let address): IP(address)
        case .ip6(let address): IP(address)
        default: nil
        }
    }

    /// Whether a host at `place` could dial this address: nobody reaches into a machine or a private network from
    /// outside it. Names pass; nil is a place of which nothing is known.
    public func isReachable(from place: IP?) -> Bool {
        guard let ip else { return true }
        return ip.scope != .none && ip.scope >= (place?.scope ?? .global)
    }
}
