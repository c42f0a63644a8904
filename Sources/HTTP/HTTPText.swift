import Glibc

/// What messages are made of: bytes, compared as such.
extension UnsafeRawBufferPointer {
    /// Whether these are the bytes of `text`.
    func equals(_ text: StaticString) -> Bool {
        count == text.utf8CodeUnitCount
            && (count == 0 || baseAddress.map { memcmp($0, text.utf8Start, count) == 0 } ?? false)
    }

    /// The bytes of `range`, which lies within these.
    func part(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[range]) }
}
