import Bytes
import Crypto

/// How the leader counted a validator's vote (docs/wire.md, section 5).
public struct VoteInfo: Hashable, Sendable {
    /// What the vote says beside the leader's own result.
    public enum Status: Hashable, Sendable {
        /// The validator refused the block.
        case rejected
        /// It came to the leader's application hash.
        case agreed
        /// It came to another application hash.
        case forked(Hash)
    }

    /// Whose vote.
    public let signature: VoteSignature
    /// What it says.
    public let status: Status

    /// A vote by its parts.
    public init(signature: VoteSignature, status: Status) {
        self.signature = signature
        self.status = status
    }

    /// Whether the validator signed this vote on a block for which the leader came to `appHash`.
    public func verify(block: Hash, appHash: Hash) -> Bool {
        switch status {
        case .rejected: signature.verify(block, appHash: nil)
        case .agreed: signature.verify(block, appHash: appHash)
        case .forked(let other): signature.verify(block, appHash: other)
        }
    }

    init(nestedIn reader: inout ByteReader) throws(BytesError) {
        var inner = ByteReader(try reader.cbytes())
        signature = try VoteSignature(from: &inner)
        switch try inner.i32() {
        case 0: status = .rejected
        case 1: status = .agreed
        case 2: status = .forked(try inner.hash())
        default: throw .invalid("a vote's status")
        }
        try inner.finish()
    }

    var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 144)
        writer.put(bytes: signature.bytes)
        switch status {
        case .rejected: writer.put(i32: 0)
        case .agreed: writer.put(i32: 1)
        case .forked(let hash):
            writer.put(i32: 2)
            writer.put(hash: hash)
        }
        return writer.bytes
    }
}
