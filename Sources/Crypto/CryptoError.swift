/// The reason a key, a signature or a key file was rejected, or a resource that ran out.
public enum CryptoError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A key type with an unknown name or number.
    case unknownKeyType(String)
    /// A public key has the wrong length or is not a point on its curve.
    case invalidPublicKey
    /// A private key has the wrong length, is out of range, or does not match its public half.
    case invalidPrivateKey
    /// A node ID is not `<public key hex>#<key type>`.
    case invalidNodeID(String)
    /// A peer ID does not embed its public key.
    case keyNotInPeerID
    /// A digest is not 32 bytes long.
    case invalidHash
    /// A key exchange yielded the all-zero secret: the peer's key has low order.
    case weakKeyExchange
    /// The key file at `path` cannot be used, for `reason`.
    case keyFile(path: String, reason: String)
    /// A library ran out of memory.
    case outOfMemory

    /// One line for logs and for people.
    public var description: String {
        switch self {
        case .unknownKeyType(let name): "unknown key type \(name)"
        case .invalidPublicKey: "invalid public key"
        case .invalidPrivateKey: "invalid private key"
        case .invalidNodeID(let text): "invalid node ID \(text.prefix(100))"
        case .keyNotInPeerID: "the peer ID does not embed its public key"
        case .invalidHash: "a hash must have 32 bytes, or 64 hexadecimal digits"
        case .weakKeyExchange: "the key exchange yielded an all-zero secret"
        case .keyFile(let path, let reason): "key file \(path): \(reason)"
        case .outOfMemory: "out of memory in a cryptographic library"
        }
    }
}
