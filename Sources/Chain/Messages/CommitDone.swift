import Bytes
import Crypto

/// A validator's statement that it has committed a block: the message of `/apus/commitack/1.0.0`
/// (docs/wire.md, section 8).
public struct CommitDone: Hashable, Sendable, WireDecodable {
    /// The committed height.
    public let height: Int64
    /// The committed block.
    public let block: Hash
    /// The application hash after it.
    public let appHash: Hash
    /// The validator's key and signature.
    public let signature: VoteSignature

    /// The size of the largest message, in bytes: fixed fields, a 33-byte key and a 65-byte signature with
    /// their lengths.
    public static let maxBytes = 256

    /// Creates and signs a statement.
    public init(height: Int64, block: Hash, appHash: Hash, by key: PrivateKey) {
        self.height = height
        self.block = block
        self.appHash = appHash
        let message = Self.message(height, block, appHash)
        signature = VoteSignature(publicKey: key.publicKey, signature: SharedBytes(key.sign(message)))
    }

    /// Returns whether the signature is valid. The signed text begins unlike every vote's.
    public func verify() -> Bool {
        signature.publicKey.verify(signature.signature, of: Self.message(height, block, appHash))
    }

    private static func message(_ height: Int64, _ block: Hash, _ appHash: Hash) -> [UInt8] {
        var writer = ByteWriter(capacity: 96)
        writer.put(text: "apus commit done")
        writer.put(i64: height)
        writer.put(hash: block)
        writer.put(hash: appHash)
        return writer.bytes
    }

    package static let kind = "commit done"
    package static let decodingLimit = maxBytes

    package init(from reader: inout ByteReader) throws(BytesError) {
        height = try reader.height()
        block = try reader.hash()
        appHash = try reader.hash()
        signature = try VoteSignature(whole: reader.cbytes())
    }

    /// i64 height, hash, application hash, cbytes vote signature.
    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: Self.maxBytes)
        writer.put(i64: height)
        writer.put(hash: block)
        writer.put(hash: appHash)
        writer.put(cbytes: signature.bytes)
        return writer.bytes
    }
}
