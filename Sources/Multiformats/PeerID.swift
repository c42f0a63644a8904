import Bytes

/// A peer's identity: the multihash of its public key (libp2p specification, peer-ids).
///
/// A key whose protobuf has at most 42 bytes (Ed25519, secp256k1) is embedded whole, under the identity hash.
public struct PeerID: Hashable, Sendable {
    /// The longest public key protobuf that is not hashed, in bytes.
    public static let inlineKeyLimit = 42
    private static let identityCode: UInt64 = 0x00
    private static let sha256Code: UInt64 = 0x12

    /// The multihash: code, length, digest.
    public let bytes: [UInt8]

    /// Creates a peer ID from a multihash: an identity hash of 1 to 42 bytes, or SHA-256.
    public init(bytes: [UInt8]) throws(BytesError) {
        guard bytes.count <= PeerID.inlineKeyLimit &+ 2 else {
            throw .tooLarge(bytes.count, limit: PeerID.inlineKeyLimit &+ 2)
        }
        var reader = ByteReader(bytes)
        let code = try reader.uvarint()
        let count = try reader.uvarint()
        switch code {
        case PeerID.identityCode:
            guard (1...UInt64(PeerID.inlineKeyLimit)).contains(count) else {
                throw .invalid("a public key's length")
            }
        case PeerID.sha256Code: guard count == 32 else { throw .invalid("a SHA-256 digest's length") }
        default: throw .invalid("a peer ID's hash function")
        }
        _ = try reader.bytes(count)
        try reader.finish()
        self.bytes = bytes
    }

    /// Creates a peer ID that embeds a public key, in its protobuf form, under the identity hash.
    public init(publicKeyProtobuf: [UInt8]) throws(BytesError) {
        let count = publicKeyProtobuf.count
        guard count <= PeerID.inlineKeyLimit else { throw .tooLarge(count, limit: PeerID.inlineKeyLimit) }
        guard count > 0 else { throw .truncated }
        bytes = [0x00, UInt8(truncatingIfNeeded: count)] + publicKeyProtobuf
    }

    /// Parses both text forms: a multihash in base58btc, or a CID of version 1 with the codec `libp2p-key` in
    /// the multibases base32, base36, base58btc or base16.
    public init(_ text: some StringProtocol) throws(BytesError) {
        if text.hasPrefix("1") || text.hasPrefix("Qm") {
            try self.init(bytes: Base58.decode(text))
        } else {
            var reader = ByteReader(try Multibase.decode(text))
            guard try reader.uvarint() == 1 else { throw .invalid("a CID of version 1") }
            guard try reader.uvarint() == 0x72 else { throw .invalid("a CID of a libp2p key") }
            try self.init(bytes: reader.array(reader.remaining))
        }
    }

    /// The public key's protobuf, if the peer ID embeds it.
    public var publicKeyProtobuf: [UInt8]? {
        bytes.first == 0x00 ? Array(bytes.dropFirst(2)) : nil
    }
}

extension PeerID: CustomStringConvertible {
    /// The multihash in base58btc: `12D3KooW…` for Ed25519, `16Uiu2HA…` for secp256k1.
    public var description: String { Base58.encode(bytes) }
}

extension PeerID: Comparable {
    /// Orders by bytes.
    public static func < (left: PeerID, right: PeerID) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}
