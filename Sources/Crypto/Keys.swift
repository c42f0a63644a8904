import Bytes
import CShims
import Multiformats

/// The kinds of keys that nodes and accounts have; the numbers are their wire flags (docs/wire.md, section 2).
public enum KeyType: UInt32, Hashable, Sendable, CaseIterable {
    /// ECDSA on secp256k1: public keys of 33 bytes (compressed), private keys of 32.
    case secp256k1 = 0
    /// Ed25519: public keys of 32 bytes, private keys of 64 (seed, public key).
    case ed25519 = 1

    /// The type called `name`.
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

    /// Bytes of a public key.
    public var publicKeyCount: Int { self == .secp256k1 ? 33 : 32 }
    /// Bytes of a private key.
    public var privateKeyCount: Int { self == .secp256k1 ? 32 : 64 }
    /// Bytes of a node's signature.
    public var signatureCount: Int { self == .secp256k1 ? 65 : 64 }

    /// The type's number in libp2p's public key protobuf.
    var libp2pNumber: UInt64 { self == .secp256k1 ? 2 : 1 }
}

/// A node's or an account's public key.
public struct PublicKey: Hashable, Sendable {
    /// What kind of key.
    public let type: KeyType
    /// 33 bytes for secp256k1, 32 for Ed25519.
    public let bytes: [UInt8]

    /// Takes the key's bytes; refuses a wrong length and, for secp256k1, what is no point of the curve.
    public init(type: KeyType, bytes: [UInt8]) throws(CryptoError) {
        guard bytes.count == type.publicKeyCount else { throw .invalidPublicKey }
        if type == .secp256k1, !CryptoSuite.current.isPoint(bytes) {
            throw .invalidPublicKey
        }
        self.type = type
        self.bytes = bytes
    }

    init(unchecked bytes: [UInt8], type: KeyType) {
        self.type = type
        self.bytes = bytes
    }

    /// The wire key: u32 flag, key bytes (docs/wire.md, section 2).
    public var wire: [UInt8] {
        var writer = ByteWriter(capacity: 4 + bytes.count)
        writer.put(u32: type.rawValue)
        writer.put(bytes: bytes)
        return writer.bytes
    }

    /// Reads a wire key, which must be the whole input.
    public init(wire: some ByteSource) throws(CryptoError) {
        var reader = ByteReader(wire.withUnsafeBytes { SharedBytes(copying: $0) })
        guard let flag = try? reader.u32(), let rest = try? reader.array(reader.remaining) else {
            throw .invalidPublicKey
        }
        guard let type = KeyType(rawValue: flag) else { throw .unknownKeyType("\(flag)") }
        try self.init(type: type, bytes: rest)
    }

    /// The node ID: `<public key hex>#<key type>`.
    public var nodeID: String { "\(Hex.encode(bytes))#\(type.name)" }

    /// Reads a node ID.
    public init(nodeID: some StringProtocol) throws(CryptoError) {
        let parts = nodeID.split(separator: "#" as Character, omittingEmptySubsequences: false)
        guard parts.count == 2, nodeID.utf8.count <= 128, let bytes = try? Hex.decode(parts[0]) else {
            throw .invalidNodeID(String(nodeID.prefix(128)))
        }
        try self.init(type: KeyType(name: parts[1]), bytes: bytes)
    }

    /// The key as libp2p's protobuf `PublicKey` (libp2p specification, peer-ids).
    public var libp2pProtobuf: [UInt8] {
        var writer = ProtobufWriter(capacity: 4 + bytes.count)
        writer.put(1, varint: type.libp2pNumber)
        writer.put(2, bytes: bytes)
        return writer.bytes
    }

    /// Reads libp2p's protobuf `PublicKey`. Only its one deterministic encoding is taken, since the peer ID is
    /// a hash of it.
    public init(libp2pProtobuf: some ByteSource) throws(CryptoError) {
        let input = libp2pProtobuf.withUnsafeBytes { SharedBytes(copying: $0) }
        guard input.count <= PeerID.inlineKeyLimit else { throw .invalidPublicKey }
        var reader = ProtobufReader(input)
        guard let first = try? reader.next(), first.number == 1, let number = try? first.integer,
            let second = try? reader.next(), second.number == 2, let data = try? second.bytes
        else { throw .invalidPublicKey }
        guard let type = KeyType.allCases.first(where: { $0.libp2pNumber == number }) else {
            throw .unknownKeyType("\(number)")
        }
        try self.init(type: type, bytes: data.array)
        guard self.libp2pProtobuf == input.array else { throw .invalidPublicKey }
    }

    /// The peer ID that holds this key.
    public var peerID: PeerID {
        guard let peer = try? PeerID(publicKeyProtobuf: libp2pProtobuf) else {
            preconditionFailure("a public key's protobuf has at most 37 bytes")
        }
        return peer
    }

    /// The key that a peer ID holds.
    public init(peerID: PeerID) throws(CryptoError) {
        guard let protobuf = peerID.publicKeyProtobuf else { throw .keyNotInPeerID }
        try self.init(libp2pProtobuf: protobuf)
    }

    /// Whether a node's or an account's `signature` of `message` is this key's: Ed25519, 64 bytes; secp256k1, 65
    /// bytes r‖s‖v over the message's SHA-256, v ignored, s in either half. Any input is safe.
    public func verify(_ signature: some ByteSource, of message: some ByteSource) -> Bool {
        verify(signature, of: message, for: .message)
    }

    /// Whether `signature` of `message` is this key's as libp2p has it (peer-ids): Ed25519, 64 bytes; secp256k1,
    /// DER over the message's SHA-256. Any input is safe.
    public func verifyHandshake(_ signature: some ByteSource, of message: some ByteSource) -> Bool {
        verify(signature, of: message, for: .handshake)
    }

    private func verify(
        _ signature: some ByteSource, of message: some ByteSource, for purpose: CryptoSuite.Purpose
    ) -> Bool {
        signature.withUnsafeBytes { signature in
            message.withUnsafeBytes { message in
                CryptoSuite.current.verify(signature, of: message, for: purpose, by: self)
            }
        }
    }

    /// The 20-byte Ethereum address: the end of the uncompressed key's Keccak-256. Nil for Ed25519.
    public var ethereumAddress: [UInt8]? {
        guard type == .secp256k1, let point = Secp256k1.uncompressed(bytes) else { return nil }
        return Ethereum.address(of: point)
    }
}

extension PublicKey: CustomStringConvertible {
    /// The node ID.
    public var description: String { nodeID }
}

/// A private key, in memory that is locked and wiped.
public struct PrivateKey: Sendable {
    let secret: SecretBytes
    /// The key's public half.
    public let publicKey: PublicKey

    /// What kind of key.
    public var type: KeyType { publicKey.type }

    /// A new key from the operating system's random source.
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

    /// Takes the key's bytes: 32 for secp256k1; for Ed25519 64, seed and public key, which must belong together.
    public init(type: KeyType, bytes: some ByteSource) throws(CryptoError) {
        try self.init(type: type, secret: SecretBytes(copying: bytes, guarded: true))
    }

    /// The Ed25519 key that 32 bytes lead to (RFC 8032).
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

    /// A copy of the key's bytes, outside of secret memory: for writing it to a file.
    public var bytes: [UInt8] { secret.withUnsafeBytes { [UInt8]($0) } }

    /// Calls `body` with the key's bytes where they lie; do not let them escape.
    func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try secret.withUnsafeBytes(body)
    }

    /// A node's or an account's signature of `message`, as `PublicKey.verify` takes it: 64 or 65 bytes.
    public func sign(_ message: some ByteSource) -> [UInt8] {
        message.withUnsafeBytes { CryptoSuite.current.sign($0, for: .message, with: self) }
    }

    /// A signature of `message` as libp2p has it: 64 bytes for Ed25519, DER for secp256k1.
    public func signHandshake(_ message: some ByteSource) -> [UInt8] {
        message.withUnsafeBytes { CryptoSuite.current.sign($0, for: .handshake, with: self) }
    }

    /// Ethereum's personal_sign of `message`: 65 bytes r‖s‖v, v 0 or 1 as the reference writes it. Nil for Ed25519.
    public func signEthereum(_ message: some ByteSource) -> [UInt8]? {
        guard type == .secp256k1 else { return nil }
        return Secp256k1.sign(digest: Ethereum.personalDigest(of: message), secret)
    }
}
