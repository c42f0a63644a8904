import Bytes

/// A private key, in locked memory that is wiped on release.
public struct PrivateKey: Sendable {
    let secret: SecretBytes
    /// The key's public half.
    public let publicKey: PublicKey

    /// The type of key.
    public var type: KeyType { publicKey.type }

    /// Generates a key from the operating system's random source.
    public static func generate(_ type: KeyType) throws(CryptoError) -> PrivateKey {
        switch type {
        case .ed25519:
            let seed = try SecretBytes(random: Ed25519.seedCount)
            return try PrivateKey(ed25519Seed: seed)
        case .secp256k1:
            while true {
                let secret = try SecretBytes(random: type.privateKeyCount, guarded: true)
                if let key = try? PrivateKey(type: type, secret: secret) { return key }
            }
        }
    }

    /// Creates a key from its bytes: 32 for secp256k1; for Ed25519 64, a matching seed and public key.
    public init(type: KeyType, bytes: some ByteSource) throws(CryptoError) {
        try self.init(type: type, secret: SecretBytes(copying: bytes, guarded: true))
    }

    /// Derives an Ed25519 key from a seed of 32 bytes (RFC 8032).
    public init(ed25519Seed seed: some ByteSource) throws(CryptoError) {
        guard seed.withUnsafeBytes({ $0.count }) == Ed25519.seedCount else { throw .invalidPrivateKey }
        let secret = try Ed25519.privateKey(seed: seed, guarded: true)
        try self.init(type: .ed25519, secret: secret)
    }

    private init(type: KeyType, secret: SecretBytes) throws(CryptoError) {
        guard secret.count == type.privateKeyCount else { throw .invalidPrivateKey }
        let publicBytes =
            switch type {
            case .ed25519: Ed25519.publicKey(of: secret)
            case .secp256k1: Secp256k1.publicKey(of: secret)
            }
        guard let publicBytes else { throw .invalidPrivateKey }
        self.secret = secret
        publicKey = PublicKey(unchecked: publicBytes, type: type)
    }

    /// A copy of the key's bytes outside guarded memory, for writing a file.
    public var bytes: [UInt8] { secret.withUnsafeBytes { [UInt8]($0) } }

    /// Returns a node's or account's signature of `message`, as `PublicKey.verify` accepts it: 64 or 65
    /// bytes.
    public func sign(_ message: some ByteSource) -> [UInt8] {
        message.withUnsafeBytes { CryptoSuite.current.sign($0, for: .message, with: self) }
    }

    /// Returns a signature of `message` as libp2p specifies it: 64 bytes for Ed25519, DER for secp256k1.
    public func signHandshake(_ message: some ByteSource) -> [UInt8] {
        message.withUnsafeBytes { CryptoSuite.current.sign($0, for: .handshake, with: self) }
    }

    /// Returns Ethereum's personal_sign of `message`: 65 bytes r‖s‖v, with v 0 or 1 as the reference writes
    /// it. Nil for Ed25519.
    public func signEthereum(_ message: some ByteSource) -> [UInt8]? {
        guard type == .secp256k1 else { return nil }
        return Secp256k1.sign(digest: Ethereum.personalDigest(of: message), secret)
    }
}
