import Bytes

/// ChaCha20-Poly1305 (RFC 8439) with Noise's nonces. One key for one direction; calls allocate nothing.
///
/// Not safe to use from two threads at once.
public struct ChaChaPoly: ~Copyable {
    /// The size of a key, in bytes.
    public static let keyCount = 32
    /// The number of bytes that sealing adds.
    public static let tagCount = 16

    private let cipher: Cipher

    /// Creates a cipher from a key of 32 bytes.
    public init(key: some ByteSource) throws(CryptoError) {
        let made = key.withUnsafeBytes { key in
            Result { () throws(CryptoError) in
                guard key.count == ChaChaPoly.keyCount else { throw .invalidPrivateKey }
                return try CryptoSuite.current.makeCipher(key: key)
            }
        }
        cipher = try made.get()
    }

    /// Encrypts `source` into `target`, which must have room for `source.count + tagCount` bytes, and appends
    /// the tag.
    ///
    /// The two may start at the same address; otherwise they must not overlap.
    public func seal(
        nonce: UInt64, aad: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        in source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) {
        precondition(target.count - ChaChaPoly.tagCount >= source.count, "the target is too small")
        let isSealed = cipher.seal(nonce: nonce, aad: aad, in: source, into: target)
        precondition(isSealed, "libcrypto failed to encrypt")
    }

    /// Decrypts `source`, whose last 16 bytes are the tag, into `target`, which must have room for
    /// `source.count - tagCount` bytes. Returns false if the tag is wrong or missing; the contents of
    /// `target` are then worthless.
    ///
    /// The two may start at the same address; otherwise they must not overlap.
    public func open(
        nonce: UInt64, aad: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        in source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> Bool {
        guard source.count >= ChaChaPoly.tagCount else { return false }
        precondition(target.count >= source.count - ChaChaPoly.tagCount, "the target is too small")
        return cipher.open(nonce: nonce, aad: aad, in: source, into: target)
    }
}
