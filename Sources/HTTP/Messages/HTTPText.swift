import Glibc

/// Message text is bytes and compared as such.
extension UnsafeRawBufferPointer {
    /// Returns whether the bytes equal `text`.
    func equals(_ text: StaticString) -> Bool {
        count == text.utf8CodeUnitCount
            && (count == 0 || baseAddress.map { memcmp($0, text.utf8Start, count) == 0 } ?? false)
    }

    /// Returns the bytes of `range`, which must lie within the buffer.
    func part(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[range]) }
}
