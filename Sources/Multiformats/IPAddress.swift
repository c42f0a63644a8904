/// An IPv4 address.
public struct IPv4Address: Hashable, Sendable, CustomStringConvertible {
    /// The four bytes as a number, the first one highest.
    public let value: UInt32

    /// The address whose bytes, the first one highest, make `value`.
    public init(value: UInt32) { self.value = value }

    /// Reads dotted decimal: four numbers of 0 to 255 without leading zeros.
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

    /// The address whose halves are these numbers.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads the text forms of RFC 4291, section 2.2.
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

    /// What stands before and after `::`, or nil if that occurs twice.
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

    /// The 16-bit groups of a text without `::`; the last may be an IPv4 address, which makes two.
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
