/// The type of a node's or account's key, numbered as on the wire (docs/wire.md, section 2).
public enum KeyType: UInt32, Hashable, Sendable, CaseIterable {
    /// ECDSA on secp256k1: compressed public keys of 33 bytes, private keys of 32.
    case secp256k1 = 0
    /// Ed25519: public keys of 32 bytes, private keys of 64 (seed, public key).
    case ed25519 = 1

    /// Returns the type called `name`.
    public init(name: some StringProtocol) throws(CryptoError) {
        guard let type = KeyType.allCases.first(where: { $0.name == name }) else {
            throw .unknownKeyType(String(name.prefix(32)))
        }
        self = type
    }

    /// `secp256k1` or `ed25519`.
    public var name: String {
        switch self {
        case .secp256k1: "secp256k1"
        case .ed25519: "ed25519"
        }
    }

    /// The size of a public key, in bytes.
    public var publicKeyCount: Int { self == .secp256k1 ? 33 : 32 }
    /// The size of a private key, in bytes.
    public var privateKeyCount: Int { self == .secp256k1 ? 32 : 64 }
    /// The size of a node's signature, in bytes.
    public var signatureCount: Int { self == .secp256k1 ? 65 : 64 }

    /// The type's number in libp2p's public key protobuf.
    var libp2pNumber: UInt64 { self == .secp256k1 ? 2 : 1 }
}
