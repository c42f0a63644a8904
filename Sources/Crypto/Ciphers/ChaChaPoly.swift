import Bytes
import CShims

/// ChaCha20-Poly1305 (RFC 8439) with Noise's nonces, by libcrypto. One key for one direction; calls allocate
/// nothing.
///
/// Not safe to use from two threads at once.
public struct ChaChaPoly: ~Copyable {
    /// The size of a key, in bytes.
    public static let keyCount = 32
    /// The number of bytes that sealing adds.
    public static let tagCount = 16

    private let context: OpaquePointer
    /// The key's first bytes, for `CheapCrypto`.
    private let mark: UInt64

    private nonisolated(unsafe) static let cipher = EVP_CIPHER_fetch(nil, "ChaCha20-Poly1305", nil)

    /// Creates a cipher from a key of 32 bytes.
    public init(key: some ByteSource) throws(CryptoError) {
        guard let context = EVP_CIPHER_CTX_new() else { throw .outOfMemory }
        let ready = key.withUnsafeBytes {
            $0.count == ChaChaPoly.keyCount
                && EVP_CipherInit_ex2(context, ChaChaPoly.cipher, $0.uint8, nil, 1, nil) == 1
        }
        guard ready else {
            EVP_CIPHER_CTX_free(context)
            throw .invalidPrivateKey
        }
        self.context = context
        mark = key.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    }

    deinit { EVP_CIPHER_CTX_free(context) }

    /// Sets the direction and nonce, and processes the additional data.
    private func begin(_ nonce: UInt64, _ aad: UnsafeRawBufferPointer, encrypt: Int32) -> Bool {
        // Four zero bytes, then the counter, little-endian (Noise specification, section 12.3).
        var iv: (UInt32, UInt32, UInt32) = (
            0, UInt32(truncatingIfNeeded: nonce).littleEndian,
            UInt32(truncatingIfNeeded: nonce &>> 32).littleEndian
        )
        let set = withUnsafeBytes(of: &iv) {
            EVP_CipherInit_ex2(context, nil, nil, $0.uint8, encrypt, nil)
        }
        guard set == 1 else { return false }
        guard aad.count > 0 else { return true }
        var count: Int32 = 0
        guard let length = Int32(exactly: aad.count) else { return false }
        return EVP_CipherUpdate(context, nil, &count, aad.uint8, length) == 1
    }

    /// Encrypts `source` into `target`, which must have room for `source.count + tagCount` bytes, and appends
    /// the tag.
    ///
    /// The two may start at the same address; otherwise they must not overlap.
    public func seal(
        nonce: UInt64, aad: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        in source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) {
        precondition(
            target.count - ChaChaPoly.tagCount >= source.count, "the target is too small to seal into")
        if CheapCrypto.isActive {
            let tag = CheapCrypto.tag(key: mark, nonce: nonce, aad: aad, text: source)
            if let start = source.baseAddress {
                target.baseAddress?.copyMemory(from: start, byteCount: source.count)
            }
            target.storeBytes(of: tag, toByteOffset: source.count, as: UInt64.self)
            target.storeBytes(of: tag, toByteOffset: source.count + 8, as: UInt64.self)
            return
        }
        var count: Int32 = 0
        let length = Int32(source.count)
        let sealed =
            begin(nonce, aad, encrypt: 1)
            && (length == 0 || EVP_CipherUpdate(context, target.uint8, &count, source.uint8, length) == 1)
            && EVP_CipherFinal_ex(context, target.uint8 + Int(length), &count) == 1
            && EVP_CIPHER_CTX_ctrl(
                context, EVP_CTRL_AEAD_GET_TAG, Int32(ChaChaPoly.tagCount), target.uint8 + Int(length)) == 1
        precondition(sealed, "libcrypto failed to encrypt")
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
        guard source.count >= ChaChaPoly.tagCount,
            let length = Int32(exactly: source.count - ChaChaPoly.tagCount)
        else { return false }
        precondition(target.count >= Int(length), "the target is too small to open into")
        if CheapCrypto.isActive {
            let text = UnsafeRawBufferPointer(rebasing: source[..<Int(length)])
            let tag = source.loadUnaligned(fromByteOffset: Int(length), as: UInt64.self)
            guard tag == CheapCrypto.tag(key: mark, nonce: nonce, aad: aad, text: text) else { return false }
            if let start = text.baseAddress {
                target.baseAddress?.copyMemory(from: start, byteCount: text.count)
            }
            return true
        }
        var tag: (UInt64, UInt64) = (
            source.loadUnaligned(fromByteOffset: Int(length), as: UInt64.self),
            source.loadUnaligned(fromByteOffset: Int(length) + 8, as: UInt64.self)
        )
        var count: Int32 = 0
        return begin(nonce, aad, encrypt: 0)
            && withUnsafeMutableBytes(of: &tag) {
                EVP_CIPHER_CTX_ctrl(
                    context, EVP_CTRL_AEAD_SET_TAG, Int32(ChaChaPoly.tagCount), $0.baseAddress) == 1
            }
            && (length == 0 || EVP_CipherUpdate(context, target.uint8, &count, source.uint8, length) == 1)
            && EVP_CipherFinal_ex(context, target.uint8 + Int(length), &count) == 1
    }
}
