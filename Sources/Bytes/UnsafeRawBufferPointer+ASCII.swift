/// Compares text from outside with words of a grammar, byte by byte, ignoring the case of ASCII letters only.
/// SQL and HTTP (RFC 9110, section 5.6.2) define their words this way; Unicode's case mapping would accept
/// words that are not in the grammar.
extension UnsafeRawBufferPointer {
    /// Returns whether the bytes equal `text` (lower case), ignoring case.
    public func equalsIgnoringCase(_ text: StaticString) -> Bool {
        count == text.utf8CodeUnitCount && hasIgnoringCase(text, at: 0)
    }

    /// Returns whether the bytes begin with `text` (lower case), ignoring case.
    public func hasPrefixIgnoringCase(_ text: StaticString) -> Bool { hasIgnoringCase(text, at: 0) }

    /// Returns whether the bytes contain `text` (lower case), ignoring case.
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
