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
        let count = source.count - ChaChaPoly.tagCount
        guard count >= 0 else { return false }
        return beginOpening(nonce: nonce, aad: aad)
            && openNext(UnsafeRawBufferPointer(rebasing: source[..<count]), into: target)
            && finishOpening(tag: UnsafeRawBufferPointer(rebasing: source[count...]))
    }

    /// Begins to decrypt a message that comes in pieces. Until `finishOpening`, neither open nor seal another message with this
    /// cipher. Returns false if libcrypto fails.
    public func beginOpening(
        nonce: UInt64, aad: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) -> Bool {
        cipher.beginOpening(nonce: nonce, aad: aad)
    }

    /// Decrypts the next piece of a message, of any size, into the start of `target`. The plaintext is not authentic, and must
    /// not be used, until `finishOpening` has returned true. Returns false if libcrypto fails.
    ///
    /// The two may start at the same address; otherwise they must not overlap.
    public func openNext(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> Bool {
        precondition(target.count >= source.count, "the target is too small")
        return source.isEmpty || cipher.openNext(source, into: target)
    }

    /// Ends a message. Returns whether `tag` is that of all its pieces.
    public func finishOpening(tag: UnsafeRawBufferPointer) -> Bool {
        tag.count == ChaChaPoly.tagCount && cipher.finishOpening(tag: tag)
    }
}
