/// Text from outside (SQL, names, identifiers), compared, hashed and sorted by its UTF-8 bytes.
///
/// Swift's `String` compares by canonical equivalence instead: é as one scalar equals e followed by an
/// accent. No other implementation shares that rule, and it depends on the Unicode version, so a `String`
/// must not be a key in anything that a peer, a client or a file can influence.
public struct RawText: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The same text as a `String`, for display or passing on.
    public let string: String

    /// A text with exactly these scalars.
    public init(_ string: String) { self.string = string }

    /// The text of these bytes. Invalid UTF-8 is replaced.
    public init(decoding bytes: some Collection<UInt8>) { string = String(decoding: bytes, as: UTF8.self) }

    /// The text itself.
    public var description: String { string }

    /// The UTF-8 bytes.
    public var utf8: String.UTF8View { string.utf8 }

    /// Calls `body` with the bytes, which are valid until it returns.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        string.utf8.withContiguousStorageIfAvailable { body(UnsafeRawBufferPointer($0)) }
            ?? Array(string.utf8).withUnsafeBytes(body)
    }

    /// Whether both have the same bytes.
    public static func == (left: RawText, right: RawText) -> Bool {
        left.withBytes { left in right.withBytes { left.elementsEqual($0) } }
    }

    /// Sorts by bytes.
    public static func < (left: RawText, right: RawText) -> Bool {
        left.withBytes { left in right.withBytes { left.lexicographicallyPrecedes($0) } }
    }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) { withBytes { hasher.combine(bytes: $0) } }

    /// The text with `A` to `Z` in lower case and everything else unchanged, as SQLite and HTTP fold case.
    public var foldedASCII: RawText {
        let isFolded = withBytes { bytes in bytes.allSatisfy { $0 == $0.foldedASCII } }
        return isFolded ? self : RawText(decoding: utf8.map { $0.foldedASCII })
    }

    /// Returns the first `count` bytes in quotation marks, with everything but printable ASCII escaped as
    /// `\xNN`. The escaping never changes between versions, so results of transactions may contain it.
    public func quoted(_ count: Int = 64) -> String {
        let shown = utf8.prefix(count).map { byte in
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), ..<0x20, 0x7F...: "\\x" + Hex.encode([byte])
            default: String(UnicodeScalar(byte))
            }
        }
        return "\"\(shown.joined())\"" + (utf8.count > count ? "…" : "")
    }

    /// Returns whether the text begins with the bytes of `prefix`.
    public func hasPrefix(_ prefix: StaticString) -> Bool {
        withBytes { bytes in
            let count = prefix.utf8CodeUnitCount
            return bytes.count >= count && (0..<count).allSatisfy { bytes[$0] == prefix.utf8Start[$0] }
        }
    }

    /// Returns at most the first `count` bytes, without a scalar that would be cut in two. For messages.
    public func prefix(_ count: Int) -> RawText {
        guard utf8.count > count else { return self }
        var end = utf8.index(utf8.startIndex, offsetBy: count)
        while end > utf8.startIndex, utf8[end] & 0xC0 == 0x80 { end = utf8.index(before: end) }
        return RawText(String(string[..<end]))
    }
}

extension RawText: ExpressibleByStringInterpolation {
    /// The literal's text.
    public init(stringLiteral value: String) { self.init(value) }
}
