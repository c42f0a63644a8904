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
            guard self[start &+ index].foldedASCII == text.utf8Start[index] else { return false }
        }
        return true
    }
}

extension UInt8 {
    /// The byte, in lower case if it is a letter from `A` to `Z`.
    package var foldedASCII: UInt8 {
        self >= UInt8(ascii: "A") && self <= UInt8(ascii: "Z") ? self | 0x20 : self
    }
}
