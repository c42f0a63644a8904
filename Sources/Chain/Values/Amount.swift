/// An integer of any size, as the chain carries it (bigint in docs/wire.md, section 1): fees, balances,
/// transfers.
///
/// Stored as the canonical decimal of the wire format, because amounts are compared and passed on far more
/// often than added. At most `ChainLimits.amountDigits` digits.
public struct Amount: Hashable, Comparable, Sendable, CustomStringConvertible, ExpressibleByIntegerLiteral {
    /// The canonical decimal: no leading zeros, no "-0".
    public let description: String

    /// Zero.
    public static let zero = Amount(0)

    /// Parses a canonical decimal. Returns nil for any other text, and for too many digits.
    public init?(_ text: String) {
        var digits = Substring(text).utf8
        if digits.first == UInt8(ascii: "-") { digits = digits.dropFirst() }
        let isNegative = digits.count != text.utf8.count
        guard let first = digits.first, digits.count <= ChainLimits.amountDigits,
            digits.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") })
        else { return nil }
        if first == UInt8(ascii: "0") {
            guard digits.count == 1, !isNegative else { return nil }
        }
        description = text
    }

    /// Creates an amount that fits 64 bits.
    public init(_ value: Int64) {
        description = String(value)
    }

    /// Creates an amount from a literal.
    public init(integerLiteral value: Int64) {
        self.init(value)
    }

    /// Whether the amount is below zero.
    public var isNegative: Bool { description.utf8.first == UInt8(ascii: "-") }

    /// Whether the amount is zero.
    public var isZero: Bool { description == "0" }

    private init(magnitude: [UInt8]) {
        let significant = magnitude.drop { $0 == 0 }
        let digits = String(decoding: significant.map { $0 &+ UInt8(ascii: "0") }, as: UTF8.self)
        description = digits.isEmpty ? "0" : digits
    }

    /// The digits, most significant first, each 0 to 9.
    private var magnitude: [UInt8] {
        (isNegative ? description.utf8.dropFirst() : Substring(description).utf8)
            .map { $0 &- UInt8(ascii: "0") }
    }

    /// Orders by value.
    public static func < (left: Amount, right: Amount) -> Bool {
        switch (left.isNegative, right.isNegative) {
        case (true, false): true
        case (false, true): false
        case (false, false): isLess(left.magnitude, right.magnitude)
        case (true, true): isLess(right.magnitude, left.magnitude)
        }
    }

    /// Returns the sum; nil if it has more digits than `ChainLimits.amountDigits`, or if either operand is negative,
    /// as no balance may be.
    public func adding(_ other: Amount) -> Amount? {
        guard !other.isNegative, !isNegative else { return nil }
        let sum = Amount(magnitude: Self.add(magnitude, other.magnitude))
        return sum.description.utf8.count <= ChainLimits.amountDigits ? sum : nil
    }

    /// Returns the difference; nil if it, or either operand, is negative.
    public func subtracting(_ other: Amount) -> Amount? {
        guard !other.isNegative, !isNegative, !(self < other) else { return nil }
        return Amount(magnitude: Self.subtract(magnitude, other.magnitude))
    }

    private static func isLess(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count == b.count ? a.lexicographicallyPrecedes(b) : a.count < b.count
    }

    private static func add(_ a: [UInt8], _ b: [UInt8]) -> [UInt8] {
        var reversed: [UInt8] = []
        reversed.reserveCapacity(max(a.count, b.count) + 1)
        var (left, right) = (a.reversed().makeIterator(), b.reversed().makeIterator())
        var carry: UInt8 = 0
        while true {
            let (x, y) = (left.next(), right.next())
            if x == nil, y == nil { break }
            let sum = (x ?? 0) &+ (y ?? 0) &+ carry
            reversed.append(sum % 10)
            carry = sum / 10
        }
        reversed.append(carry)
        return reversed.reversed()
    }

    /// Returns `a - b`, where `a` must not be less.
    private static func subtract(_ a: [UInt8], _ b: [UInt8]) -> [UInt8] {
        var reversed: [UInt8] = []
        reversed.reserveCapacity(a.count)
        var right = b.reversed().makeIterator()
        var borrow: UInt8 = 0
        for digit in a.reversed() {
            let take = (right.next() ?? 0) &+ borrow
            borrow = digit < take ? 1 : 0
            reversed.append(digit &+ borrow &* 10 &- take)
        }
        return reversed.reversed()
    }
}
