import Bytes
import Crypto

/// A validator's vote as counted by the leader (docs/wire.md, section 5).
public struct VoteInfo: Hashable, Sendable, WireDecodable {
    /// The vote, relative to the leader's own result.
    public enum Status: Hashable, Sendable {
        /// The validator rejected the block.
        case rejected
        /// Its application hash equals the leader's.
        case agreed
        /// Its application hash differs from the leader's.
        case forked(Hash)
    }

    /// The validator's key and signature.
    public let signature: VoteSignature
    /// How the vote compares with the leader's result.
    public let status: Status

    /// Creates a vote from its parts.
    public init(signature: VoteSignature, status: Status) {
        self.signature = signature
        self.status = status
    }

    /// Returns whether the validator signed this vote on a block whose application hash at the leader is
    /// `appHash`.
    public func verify(block: Hash, appHash: Hash) -> Bool {
        switch status {
        case .rejected: signature.verify(block, appHash: nil)
        case .agreed: signature.verify(block, appHash: appHash)
        case .forked(let other): signature.verify(block, appHash: other)
        }
    }

    package static let kind = "vote"

    package init(from reader: inout ByteReader) throws(BytesError) {
        signature = try VoteSignature(from: &reader)
        switch try reader.i32() {
        case 0: status = .rejected
        case 1: status = .agreed
        case 2: status = .forked(try reader.hash())
        default: throw .invalid("a vote's status")
        }
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
