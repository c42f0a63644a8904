import Bytes
import CShims

/// Ed25519 signatures (RFC 8032) by libsodium, which rejects keys of low order and non-canonical signatures.
enum Ed25519 {
    static let seedCount = Int(crypto_sign_SEEDBYTES)
    static let signatureCount = Int(crypto_sign_BYTES)

    static func privateKey(
        seed: some ByteSource, guarded: Bool = false
    ) throws(CryptoError) -> SecretBytes {
        var publicKey = [UInt8](repeating: 0, count: Int(crypto_sign_PUBLICKEYBYTES))
        return try SecretBytes(count: Int(crypto_sign_SECRETKEYBYTES), guarded: guarded) { target in
            seed.withUnsafeBytes {
                _ = crypto_sign_seed_keypair(&publicKey, target.uint8, $0.uint8)
            }
        }
    }

    /// Returns the public half of a secret made of seed and public key, or nil if they do not match.
    static func publicKey(of secret: SecretBytes) -> [UInt8]? {
        guard secret.count == Int(crypto_sign_SECRETKEYBYTES) else { return nil }
        return secret.withUnsafeBytes { bytes in
            let seed = UnsafeRawBufferPointer(rebasing: bytes[..<seedCount])
            let claimed = [UInt8](bytes[seedCount...])
            guard let derived = try? privateKey(seed: seed) else { return nil }
            return derived.withUnsafeBytes { $0[seedCount...].elementsEqual(claimed) } ? claimed : nil
        }
    }

    static func sign(_ message: some ByteSource, _ secret: SecretBytes) -> [UInt8] {
        var signature = [UInt8](repeating: 0, count: signatureCount)
        message.withUnsafeBytes { message in
            secret.withUnsafeBytes {
                _ = crypto_sign_detached(&signature, nil, message.uint8, UInt64(message.count), $0.uint8)
            }
        }
        return signature
    }

    static func verify(
        _ signature: some ByteSource, of message: some ByteSource, by publicKey: [UInt8]
    ) -> Bool {
        Sodium.start()
        guard publicKey.count == Int(crypto_sign_PUBLICKEYBYTES) else { return false }
        return signature.withUnsafeBytes { signature in
            guard signature.count == signatureCount else { return false }
            return message.withUnsafeBytes {
                crypto_sign_verify_detached(signature.uint8, $0.uint8, UInt64($0.count), publicKey) == 0
            }
        }
    }
}
