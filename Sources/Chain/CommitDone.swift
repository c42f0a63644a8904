import Bytes
import Crypto

/// A validator's word that it has committed a block: the message of `/apus/commitack/1.0.0` (docs/wire.md, section 8).
public struct CommitDone: Hashable, Sendable {
    /// The committed height.
    public let height: Int64
    /// The committed block.
    public let block: Hash
    /// The application hash after it.
    public let appHash: Hash
    /// Who says so, and the signature.
    public let signature: VoteSignature

    /// Bytes of the largest message: fixed fields, a 33-byte key and a 65-byte signature with their lengths.
    public static let maxBytes = 256

    /// Signs that this node has committed a block.
    public init(height: Int64, block: Hash, appHash: Hash, by key: PrivateKey) {
        self.height = height
        self.block = block
        self.appHash = appHash
        let message = Self.message(height, block, appHash)
        signature = VoteSignature(publicKey: key.publicKey, signature: SharedBytes(key.sign(message)))
    }

    /// Whether the signature is this message's. What is signed differs from every vote by its first bytes.
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

    /// Decodes a message; refuses trailing bytes.
    public init(decoding bytes: SharedBytes) throws(ChainError) {
        guard bytes.count <= Self.maxBytes else {
            throw .tooLarge("commit done", count: bytes.count, limit: Self.maxBytes)
        }
        self = try decodeWhole("commit done", bytes) { reader throws(BytesError) in
            try CommitDone(from: &reader)
        }
    }

    init(from reader: inout ByteReader) throws(BytesError) {
        height = try reader.i64()
        guard height >= 0 else { throw .invalid("a height") }
        block = try reader.hash()
        appHash = try reader.hash()
        signature = try VoteSignature(nestedIn: &reader)
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
