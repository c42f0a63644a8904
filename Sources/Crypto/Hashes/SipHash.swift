import Bytes
import CShims

/// SipHash-2-4 (Aumasson and Bernstein, 2012): a fast keyed hash of 64 bits. Whoever does not know the key cannot prepare
/// collisions; whoever knows it can, so it proves nothing.
public struct SipHash: Sendable {
    private let key: Hash

    /// A hash whose key is the first 16 bytes of `key`.
    public init(key: Hash) { self.key = key }

    /// Returns the hash of the bytes, as a little-endian number.
    public func hash(_ source: some ByteSource) -> UInt64 {
        var result: UInt64 = 0
        source.withUnsafeBytes { bytes in
            key.withUnsafeBytes { key in
                Swift.withUnsafeMutableBytes(of: &result) {
                    _ = crypto_shorthash($0.uint8, bytes.uint8, UInt64(bytes.count), key.uint8)
                }
            }
        }
        return UInt64(littleEndian: result)
    }
}
