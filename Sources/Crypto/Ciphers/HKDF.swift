import Bytes
import CShims

/// HKDF with HMAC-SHA256 (RFC 5869).
public enum HKDF {
    /// The size of an output, in bytes.
    private static let blockCount = 32

    /// Computes HMAC-SHA256 of the concatenated pieces.
    private static func hmac(
        key: UnsafeRawBufferPointer, _ pieces: UnsafeRawBufferPointer...,
        into target: UnsafeMutableRawBufferPointer
    ) {
        precondition(target.count == blockCount)
        var state = crypto_auth_hmacsha256_state()
        crypto_auth_hmacsha256_init(&state, key.uint8, key.count)
        for piece in pieces {
            crypto_auth_hmacsha256_update(&state, piece.uint8, UInt64(piece.count))
        }
        crypto_auth_hmacsha256_final(&state, target.uint8)
        sodium_memzero(&state, MemoryLayout.size(ofValue: state))
    }

    /// Returns Noise's HKDF with 2 or 3 outputs of 32 bytes (Noise specification, section 4.3): that of RFC 5869 with the
    /// chaining key as salt and without info.
    public static func noise(
        chainingKey: some ByteSource, input: some ByteSource, outputs: Int
    ) throws(CryptoError) -> [SecretBytes] {
        precondition(outputs == 2 || outputs == 3)
        let key = try SecretBytes(count: blockCount) { target in
            chainingKey.withUnsafeBytes { salt in
                input.withUnsafeBytes { hmac(key: salt, $0, into: target) }
            }
        }
        var secrets: [SecretBytes] = []
        for index in 1...outputs {
            let previous = secrets.last
            let secret = try SecretBytes(count: blockCount) { target in
                key.withUnsafeBytes { key in
                    withUnsafeBytes(of: UInt8(truncatingIfNeeded: index)) { index in
                        if let previous {
                            previous.withUnsafeBytes { hmac(key: key, $0, index, into: target) }
                        } else {
                            hmac(key: key, index, into: target)
                        }
                    }
                }
            }
            secrets.append(secret)
        }
        return secrets
    }
}
