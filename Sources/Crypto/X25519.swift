import Bytes

/// X25519 key agreement (RFC 7748).
public enum X25519 {
    /// Bytes of a private key, a public key and a shared secret.
    public static let keyCount = 32

    /// A new private key.
    public static func generate() throws(CryptoError) -> SecretBytes { try SecretBytes(random: keyCount) }

    /// The public key of a private key.
    public static func publicKey(of privateKey: SecretBytes) -> [UInt8] {
        precondition(privateKey.count == keyCount)
        return CryptoSuite.current.agreementKey(of: privateKey)
    }

    /// The secret shared with the owner of `publicKey`. Refuses a key of a wrong length or of low order.
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
