/// Why a key, a signature or a key file was refused, or what the machine could not give.
public enum CryptoError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A key type that is neither a known name nor a known number.
    case unknownKeyType(String)
    /// A public key has the wrong length, or is no point of its curve.
    case invalidPublicKey
    /// A private key has the wrong length, is out of range, or does not belong to its public half.
    case invalidPrivateKey
    /// A node ID is not `<public key hex>#<key type>`.
    case invalidNodeID(String)
    /// A peer ID does not hold its public key.
    case keyNotInPeerID
    /// A digest has another length than 32 bytes.
    case invalidHash
    /// A key exchange gave the all-zero secret: the other side's key is of low order.
    case weakKeyExchange
    /// The key file at `path` cannot be used; `reason` says why.
    case keyFile(path: String, reason: String)
    /// A library could not get memory.
    case outOfMemory

    /// One line for logs and for people.
    public var description: String {
        switch self {
        case .unknownKeyType(let name): "unknown key type \(name)"
        case .invalidPublicKey: "invalid public key"
        case .invalidPrivateKey: "invalid private key"
        case .invalidNodeID(let text): "invalid node ID \(text.prefix(100))"
        case .keyNotInPeerID: "the peer ID does not hold its public key"
        case .invalidHash: "a hash has 32 bytes, 64 hexadecimal digits"
        case .weakKeyExchange: "the key exchange gave an all-zero secret"
        case .keyFile(let path, let reason): "key file \(path): \(reason)"
        case .outOfMemory: "out of memory in a cryptographic library"
        }
    }
}
