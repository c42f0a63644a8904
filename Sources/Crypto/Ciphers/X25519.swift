import Bytes

/// X25519 key agreement (RFC 7748).
public enum X25519 {
    /// The size of a private key, a public key and a shared secret, in bytes.
    public static let keyCount = 32

    /// Generates a private key.
    public static func generate() throws(CryptoError) -> SecretBytes { try SecretBytes(random: keyCount) }

    /// Returns the public key of a private key.
    public static func publicKey(of privateKey: SecretBytes) -> [UInt8] {
        precondition(privateKey.count == keyCount)
        return CryptoSuite.current.agreementKey(of: privateKey)
    }

    /// Returns the secret shared with the owner of `publicKey`. Throws for a key of the wrong length or of
    /// low order.
    public static func sharedSecret(
        _ privateKey: SecretBytes, _ publicKey: some ByteSource
    ) throws(CryptoError) -> SecretBytes {
        precondition(privateKey.count == keyCount)
        let agreed = publicKey.withUnsafeBytes { publicKey in
            Result { () throws(CryptoError) in
                guard publicKey.count == keyCount else { throw .invalidPublicKey }
                return try CryptoSuite.current.agree(privateKey, with: publicKey)
            }
        }
        return try agreed.get()
    }
}
