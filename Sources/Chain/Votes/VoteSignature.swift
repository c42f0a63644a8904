import Bytes
import Crypto

/// A validator's key and its signature of a vote (docs/wire.md, section 5).
public struct VoteSignature: Hashable, Sendable, WireDecodable {
    /// The voter's key.
    public let publicKey: PublicKey
    /// 64 bytes for Ed25519, 65 for secp256k1.
    public let signature: SharedBytes

    /// Creates a signature from its parts.
    public init(publicKey: PublicKey, signature: SharedBytes) {
        self.publicKey = publicKey
        self.signature = signature
    }

    /// Signs a vote; a nil `appHash` makes it a NACK.
    public init(_ block: Hash, appHash: Hash?, by key: PrivateKey) {
        publicKey = key.publicKey
        signature = SharedBytes(key.sign(Self.message(block, appHash: appHash)))
    }

    /// Returns the signed message: block hash, one byte and, for an ACK, the application hash.
    public static func message(_ block: Hash, appHash: Hash?) -> [UInt8] {
        var writer = ByteWriter(capacity: 65)
        writer.put(hash: block)
        writer.put(u8: appHash == nil ? 0 : 1)
        if let appHash { writer.put(hash: appHash) }
        return writer.bytes
    }

    /// Returns whether the key signed this vote.
    public func verify(_ block: Hash, appHash: Hash?) -> Bool {
        publicKey.verify(signature, of: Self.message(block, appHash: appHash))
    }

    package static let kind = "vote signature"

    package init(from reader: inout ByteReader) throws(BytesError) {
        let type = try reader.keyType()
        publicKey = try decodedKey(type, reader.cbytes().array)
        signature = try reader.cbytes()
    }

    /// u32 key type, cbytes key, cbytes signature.
    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 112)
        writer.put(u32: publicKey.type.rawValue)
        writer.put(cbytes: publicKey.bytes)
        writer.put(cbytes: signature)
        return writer.bytes
    }
}
