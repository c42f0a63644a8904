/// A value whose bytes are contiguous in memory: arrays, slices, shared bytes, raw buffers, hashes.
///
/// Functions that only read bytes take `some ByteSource`, so callers never copy one kind into another.
public protocol ByteSource {
    /// Calls `body` with the bytes, which are valid only during the call.
    func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R
}

extension [UInt8]: ByteSource {}
extension ArraySlice<UInt8>: ByteSource {}
extension SharedBytes: ByteSource {}
extension UnsafeRawBufferPointer: ByteSource {
    /// Calls `body` with the buffer itself.
    @inlinable
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try body(self)
    }
}
extension UnsafeMutableRawBufferPointer: ByteSource {
    /// Calls `body` with the buffer itself.
    @inlinable
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try body(UnsafeRawBufferPointer(self))
    }
}
