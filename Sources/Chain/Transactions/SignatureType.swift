import Crypto

/// The kind of a transaction's signature (docs/wire.md, section 3).
public enum SignatureType: Hashable, Sendable, CustomStringConvertible {
    /// The sender is a 32-byte public key, the signature 64 bytes over the signed message.
    case ed25519
    /// The sender is a 33-byte public key, the signature 65 bytes over the SHA-256 of the signed message.
    case secp256k1
    /// The sender is a 20-byte Ethereum address, the signature 65 bytes over an Ethereum personal message.
    case ethereum
    /// An unknown type: relayed, but never valid.
    case other(String)

    /// Creates a type from its name on the wire.
    public init(_ name: String) {
        switch name {
        case "ed25519": self = .ed25519
        case "secp256k1": self = .secp256k1
        case "secp256k1_ep": self = .ethereum
        default: self = .other(name)
        }
    }

    /// The name on the wire.
    public var description: String {
        switch self {
        case .ed25519: "ed25519"
        case .secp256k1: "secp256k1"
        case .ethereum: "secp256k1_ep"
        case .other(let name): name
        }
    }

    /// The key type of the sender's account; nil for an unknown type.
    public var keyType: KeyType? {
        switch self {
        case .ed25519: .ed25519
        case .secp256k1, .ethereum: .secp256k1
        case .other: nil
        }
    }
}
