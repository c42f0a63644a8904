/// Comparison of text from outside with words of a grammar: by bytes, without regard to the case of ASCII letters and of
/// no others. SQL and HTTP (RFC 9110, section 5.6.2) define their words this way, and Unicode's case mapping would let
/// in words that are none.
extension UnsafeRawBufferPointer {
    /// Whether these are the bytes of `text`, which is in lower case, but for the case of letters.
    public func equalsIgnoringCase(_ text: StaticString) -> Bool {
        count == text.utf8CodeUnitCount && hasIgnoringCase(text, at: 0)
    }

    /// Whether the bytes begin with `text`, which is in lower case, but for the case of letters.
    public func hasPrefixIgnoringCase(_ text: StaticString) -> Bool { hasIgnoringCase(text, at: 0) }

    /// Whether `text`, which is in lower case, is somewhere in the bytes, but for the case of letters.
    public func containsIgnoringCase(_ text: StaticString) -> Bool {
        indices.contains { hasIgnoringCase(text, at: $0) }
    }

    private func hasIgnoringCase(_ text: StaticString, at start: Int) -> Bool {
        guard count &- start >= text.utf8CodeUnitCount else { return false }
        for index in 0..<text.utf8CodeUnitCount {
            let byte = self[start &+ index]
            let isUpper = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
            guard (isUpper ? byte | 0x20 : byte) == text.utf8Start[index] else { return false }
        }
        return true
    }
}
