import Bytes
import CShims

/// ChaCha20-Poly1305 by libcrypto. Calls allocate nothing.
final class LibraryCipher: Cipher {
    private let context: OpaquePointer

    private nonisolated(unsafe) static let cipher = apus_chacha20_poly1305()

    init(key: UnsafeRawBufferPointer) throws(CryptoError) {
        guard let context = EVP_CIPHER_CTX_new() else { throw .outOfMemory }
        guard EVP_CipherInit_ex2(context, LibraryCipher.cipher, key.uint8, nil, 1, nil) == 1 else {
            EVP_CIPHER_CTX_free(context)
            throw .invalidPrivateKey
        }
        self.context = context
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

    override func seal(
        nonce: UInt64, aad: UnsafeRawBufferPointer, in source: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) -> Bool {
        guard let length = Int32(exactly: source.count) else { return false }
        var count: Int32 = 0
        return begin(nonce, aad, encrypt: 1)
            && (length == 0 || EVP_CipherUpdate(context, target.uint8, &count, source.uint8, length) == 1)
            && EVP_CipherFinal_ex(context, target.uint8 + Int(length), &count) == 1
            && EVP_CIPHER_CTX_ctrl(
                context, EVP_CTRL_AEAD_GET_TAG, Int32(ChaChaPoly.tagCount), target.uint8 + Int(length)) == 1
    }

    override func beginOpening(nonce: UInt64, aad: UnsafeRawBufferPointer) -> Bool {
        begin(nonce, aad, encrypt: 0)
    }

    override func openNext(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> Bool {
        guard let length = Int32(exactly: source.count) else { return false }
        var count: Int32 = 0
        return EVP_CipherUpdate(context, target.uint8, &count, source.uint8, length) == 1
    }

    override func finishOpening(tag: UnsafeRawBufferPointer) -> Bool {
        var copy: (UInt64, UInt64) = (
            tag.loadUnaligned(as: UInt64.self), tag.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        )
        var count: Int32 = 0
        return withUnsafeMutableBytes(of: &copy) {
            EVP_CIPHER_CTX_ctrl(
                context, EVP_CTRL_AEAD_SET_TAG, Int32(ChaChaPoly.tagCount), $0.baseAddress) == 1
                // Nothing is left to write, but libcrypto wants an address.
                && EVP_CipherFinal_ex(context, $0.baseAddress?.assumingMemoryBound(to: UInt8.self), &count)
                    == 1
        }
    }
}
