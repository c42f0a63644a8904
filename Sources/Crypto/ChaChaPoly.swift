import Bytes

/// ChaCha20-Poly1305 (RFC 8439) with Noise's nonces: one key, one direction.
///
/// Not safe to use from two threads at once.
public struct ChaChaPoly: ~Copyable {
    /// Bytes of a key.
    public static let keyCount = 32
    /// Bytes that sealing adds.
    public static let tagCount = 16

    private let cipher: Cipher

    /// A cipher with a key of 32 bytes.
    public init(key: some ByteSource) throws(CryptoError) {
        let made = key.withUnsafeBytes { key in
            Result { () throws(CryptoError) in
                guard key.count == ChaChaPoly.keyCount else { throw .invalidPrivateKey }
                return try CryptoSuite.current.makeCipher(key: key)
            }
        }
        cipher = try made.get()
    }

    /// Encrypts `source` into `target`, which must have room for `source.count + tagCount` bytes; the tag comes last.
    ///
    /// Both may start at the same address; otherwise they must not overlap.
    public func seal(
        nonce: UInt64, aad: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        in source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) {
        precondition(target.count - ChaChaPoly.tagCount >= source.count, "no room to seal into")
        let isSealed = cipher.seal(nonce: nonce, aad: aad, in: source, into: target)
        precondition(isSealed, "libcrypto refused to encrypt")
    }

    /// Decrypts `source`, whose last 16 bytes are the tag, into `target`, which must have room for
    /// `source.count - tagCount` bytes. False if the tag is wrong or missing: then what stands in `target` is worthless.
    ///
    /// Both may start at the same address; otherwise they must not overlap.
    public func open(
        nonce: UInt64, aad: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        in source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> Bool {
        guard source.count >= ChaChaPoly.tagCount else { return false }
        precondition(target.count >= source.count - ChaChaPoly.tagCount, "no room to open into")
        return cipher.open(nonce: nonce, aad: aad, in: source, into: target)
    }
}
