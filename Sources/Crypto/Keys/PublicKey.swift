import Bytes
import Multiformats

/// A node's or an account's public key.
public struct PublicKey: Hashable, Sendable {
    /// The type of key.
    public let type: KeyType
    /// 33 bytes for secp256k1, 32 for Ed25519.
    public let bytes: [UInt8]

    /// Creates a key from its bytes. Throws for a wrong length and, for secp256k1, for bytes that are not a
    /// point on the curve.
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

    /// Decodes a wire key, which must be the whole input.
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

    /// Parses a node ID.
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

    /// Decodes libp2p's protobuf `PublicKey`. Accepts only its deterministic encoding, because the peer ID is
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

    /// The peer ID that embeds this key.
    public var peerID: PeerID {
        guard let peer = try? PeerID(publicKeyProtobuf: libp2pProtobuf) else {
            preconditionFailure("a public key's protobuf has at most 37 bytes")
        }
        return peer
    }

    /// Returns the key that a peer ID embeds.
    public init(peerID: PeerID) throws(CryptoError) {
        guard let protobuf = peerID.publicKeyProtobuf else { throw .keyNotInPeerID }
        try self.init(libp2pProtobuf: protobuf)
    }

    /// Returns whether this key made a node's or account's `signature` of `message`: 64 bytes for Ed25519;
    /// for secp256k1, 65 bytes r‖s‖v over the message's SHA-256, with v ignored and s in either half. Any
    /// input is safe.
    public func verify(_ signature: some ByteSource, of message: some ByteSource) -> Bool {
        verify(signature, of: message, for: .message)
    }

    /// Returns whether this key made `signature` of `message` as libp2p specifies it (peer-ids): 64 bytes for
    /// Ed25519; for secp256k1, DER over the message's SHA-256. Any input is safe.
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
