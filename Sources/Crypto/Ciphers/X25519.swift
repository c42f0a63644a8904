import Bytes
import CShims

/// X25519 key agreement (RFC 7748) by libsodium.
public enum X25519 {
    /// The size of a private key, a public key and a shared secret, in bytes.
    public static let keyCount = 32

    /// Generates a private key.
    public static func generate() throws(CryptoError) -> SecretBytes { try SecretBytes(random: keyCount) }

    /// Returns the public key of a private key.
    public static func publicKey(of privateKey: SecretBytes) -> [UInt8] {
        precondition(privateKey.count == keyCount)
        if CheapCrypto.isActive { return CheapCrypto.publicKey(of: privateKey) }
        var publicKey = [UInt8](repeating: 0, count: keyCount)
        privateKey.withUnsafeBytes { _ = crypto_scalarmult_base(&publicKey, $0.uint8) }
        return publicKey
    }

    /// Returns the secret shared with the owner of `publicKey`. Throws for a key of the wrong length or of
    /// low order.
    public static func sharedSecret(
        _ privateKey: SecretBytes, _ publicKey: some ByteSource
    ) throws(CryptoError) -> SecretBytes {
        precondition(privateKey.count == keyCount)
        guard publicKey.withUnsafeBytes({ $0.count }) == keyCount else { throw .invalidPublicKey }
        if CheapCrypto.isActive {
            let other = publicKey.withUnsafeBytes { Array($0) }
            return try SecretBytes(
                copying: CheapCrypto.agreement(CheapCrypto.publicKey(of: privateKey), other))
        }
        var status: Int32 = -1
        let secret = try SecretBytes(count: keyCount) { target in
            publicKey.withUnsafeBytes { publicKey in
                privateKey.withUnsafeBytes {
                    status = crypto_scalarmult(target.uint8, $0.uint8, publicKey.uint8)
                }
            }
        }
        guard status == 0 else { throw .weakKeyExchange }
        return secret
    }
}
