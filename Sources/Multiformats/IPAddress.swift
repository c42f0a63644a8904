/// An IP address of either family, without a port. An IPv4-mapped IPv6 address becomes the IPv4 address it
/// maps.
public struct IP: Hashable, Sendable, CustomStringConvertible {
    /// The address's bits, most significant first; an IPv4 address occupies the first 32.
    package let high: UInt64
    package let low: UInt64
    /// Whether this is an IPv6 address.
    public let isIPv6: Bool

    /// How far an address is reachable, from narrowest to widest.
    public enum Scope: Sendable, Comparable {
        /// Not a host's address: unspecified, multicast or reserved.
        case none
        /// On the same machine.
        case loopback
        /// On the same link.
        case link
        /// On the same private network (RFC 1918, RFC 4193, RFC 6598).
        case site
        /// From everywhere.
        case global
    }

    /// How far the address is reachable.
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

    /// Whether the address is in the loopback network.
    public var isLoopback: Bool { isIPv6 ? high == 0 && low == 1 : high >> 56 == 127 }

    /// Whether this is the address that stands for all interfaces.
    public var isUnspecified: Bool { high == 0 && low == 0 }

    /// Returns the network of the address's first `bits` bits.
    public func network(_ bits: Int) -> IPNetwork { IPNetwork(self, bits: bits) }

    /// The network that counts as one source: the address, or the /64 of an IPv6 address, which one customer typically
    /// has.
    public var place: IPNetwork { network(isIPv6 && !isLoopback ? 64 : 128) }

    var component: Multiaddr.Component {
        isIPv6
            ? .ip6(IPv6Address(high: high, low: low))
            : .ip4(IPv4Address(value: UInt32(truncatingIfNeeded: high >> 32)))
    }

    /// Dotted decimal, or the canonical text of RFC 5952.
    public var description: String { component.value }
}

extension IP {
    /// An IPv4 address.
    public init(_ address: IPv4Address) {
        (high, low, isIPv6) = (UInt64(address.value) << 32, 0, false)
    }

    /// An IPv6 address, or the IPv4 address mapped into it.
    public init(_ address: IPv6Address) {
        if address.high == 0, address.low >> 32 == 0xFFFF {
            (high, low, isIPv6) = (address.low << 32, 0, false)
        } else {
            (high, low, isIPv6) = (address.high, address.low, true)
        }
    }

    /// Parses the text form of either family.
    public init?(_ text: some StringProtocol) {
        if let four = IPv4Address(text) {
            self.init(four)
        } else if let six = IPv6Address(text) {
            self.init(six)
        } else {
            return nil
        }
    }
}

/// An IPv4 address.
public struct IPv4Address: Hashable, Sendable, CustomStringConvertible {
    /// The four bytes as a number, the first byte most significant.
    public let value: UInt32

    /// Creates an address from its bytes as a number, the first byte most significant.
    public init(value: UInt32) { self.value = value }

    /// Parses dotted decimal: four numbers from 0 to 255 without leading zeros.
    public init?(_ text: some StringProtocol) {
        var value: UInt32 = 0
        var groups = 0
        for group in text.split(separator: ".", omittingEmptySubsequences: false) {
            let digits = group.utf8
            guard (1...3).contains(digits.count), digits.allSatisfy({ (48...57).contains($0) }),
                let number = UInt8(group), digits.count == 1 || digits.first != 48
            else { return nil }
            value = value &<< 8 | UInt32(number)
            groups &+= 1
            guard groups <= 4 else { return nil }
        }
        guard groups == 4 else { return nil }
        self.value = value
    }

    /// Dotted decimal.
    public var description: String {
        "\(value &>> 24).\(value &>> 16 & 255).\(value &>> 8 & 255).\(value & 255)"
    }
}

/// An IPv6 address, without a zone.
public struct IPv6Address: Hashable, Sendable, CustomStringConvertible {
    /// The first eight bytes as a number.
    public let high: UInt64
    /// The last eight bytes as a number.
    public let low: UInt64

    /// Creates an address from its two halves.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Parses the text forms of RFC 4291, section 2.2.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 45 else { return nil }
        let halves = IPv6Address.split(String(text))
        guard let halves, let head = IPv6Address.groups(halves.head) else { return nil }
        var all = head
        if let rest = halves.tail {
            guard let tail = IPv6Address.groups(rest), head.count + tail.count < 8 else { return nil }
            all += [UInt16](repeating: 0, count: 8 - head.count - tail.count) + tail
        }
        guard all.count == 8 else { return nil }
        high = all[..<4].reduce(0) { $0 &<< 16 | UInt64($1) }
        low = all[4...].reduce(0) { $0 &<< 16 | UInt64($1) }
    }

    /// Returns the text before and after `::`, or nil if `::` occurs twice.
    private static func split(_ text: String) -> (head: Substring, tail: Substring?)? {
        let units = Array(text.utf8)
        let colon = UInt8(ascii: ":")
        var found: Int?
        for index in units.indices.dropLast() where units[index] == colon && units[index + 1] == colon {
            guard found == nil else { return nil }
            found = index
        }
        guard let found else { return (text[...], nil) }
        let middle = text.utf8.index(text.utf8.startIndex, offsetBy: found)
        return (text[..<middle], text[text.utf8.index(middle, offsetBy: 2)...])
    }

    /// Returns the 16-bit groups of a text without `::`. The last part may be an IPv4 address, which makes
    /// two groups.
    private static func groups(_ text: Substring) -> [UInt16]? {
        guard !text.isEmpty else { return [] }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var groups: [UInt16] = []
        for (index, part) in parts.enumerated() {
            if index == parts.count - 1, part.contains(".") {
                guard let address = IPv4Address(part) else { return nil }
                groups.append(UInt16(truncatingIfNeeded: address.value &>> 16))
                groups.append(UInt16(truncatingIfNeeded: address.value))
            } else {
                guard (1...4).contains(part.utf8.count), part.utf8.first != UInt8(ascii: "+"),
                    part.utf8.first != UInt8(ascii: "-"), let group = UInt16(part, radix: 16)
                else { return nil }
                groups.append(group)
            }
        }
        return groups.count <= 8 ? groups : nil
    }

    /// The eight 16-bit groups.
    private var groups: [UInt16] {
        [high, low].flatMap { half in
            [48, 32, 16, 0].map { UInt16(truncatingIfNeeded: half &>> UInt64($0)) }
        }
    }

    /// The canonical text of RFC 5952; IPv4-mapped addresses end in dotted decimal.
    public var description: String {
        if high == 0, low &>> 32 == 0xFFFF {
            return "::ffff:\(IPv4Address(value: UInt32(truncatingIfNeeded: low)))"
        }
        let groups = groups
        var longest = 0..<0
        var index = 0
        while index < 8 {
            var end = index
            while end < 8, groups[end] == 0 { end += 1 }
            if end - index > max(longest.count, 1) { longest = index..<end }
            index = max(end, index + 1)
        }
        func text(_ slice: ArraySlice<UInt16>) -> String {
            slice.map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard !longest.isEmpty else { return text(groups[...]) }
        return text(groups[..<longest.lowerBound]) + "::" + text(groups[longest.upperBound...])
    }
}
