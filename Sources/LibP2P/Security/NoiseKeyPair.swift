import Crypto

/// An X25519 key pair for Noise handshakes.
public struct NoiseKeyPair: Sendable {
    let privateKey: SecretBytes
    /// The public half, 32 bytes.
    public let publicKey: [UInt8]

    /// Creates the pair of a private key, which must have 32 bytes.
    public init(privateKey: SecretBytes) throws(LibP2PError) {
        guard privateKey.count == X25519.keyCount else { throw .malformed("Noise key") }
        self.privateKey = privateKey
        publicKey = X25519.publicKey(of: privateKey)
    }

    /// Generates a random pair. Throws `limitReached` if no protected memory is available.
    public static func generate() throws(LibP2PError) -> NoiseKeyPair {
        do {
            return try NoiseKeyPair(privateKey: try X25519.generate())
        } catch {
            throw .limitReached("memory for keys")
        }
    }

    /// Returns the secret shared with the owner of `publicKey`, which the peer has sent.
    func agree(with publicKey: [UInt8]) throws(LibP2PError) -> SecretBytes {
        do throws(CryptoError) {
            return try X25519.sharedSecret(privateKey, publicKey)
        } catch .outOfMemory {
            throw .limitReached("memory for keys")
        } catch {
            throw .malformed("Noise handshake: a public key of low order")
        }
    }
}
