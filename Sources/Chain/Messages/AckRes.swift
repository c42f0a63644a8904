import Bytes
import Crypto

/// A validator's answer to a proposed block (docs/wire.md, section 5).
public struct AckRes: Hashable, Sendable, WireDecodable {
    /// The validator's answer.
    public enum Answer: Hashable, Sendable {
        /// It executed the block with this application hash.
        case ack(appHash: Hash)
        /// The block violates a rule.
        case invalidBlock
        /// The validator is ahead: its best block and the leader's signature of it.
        case outOfSync(best: BlockHeader, leaderSignature: SharedBytes)
        /// It gives no reason.
        case unknown

        /// The application hash of an ACK; nil for a NACK.
        public var appHash: Hash? { if case .ack(let hash) = self { hash } else { nil } }
    }

    /// The proposed block's height.
    public let height: Int64
    /// The proposed block's hash.
    public let block: Hash
    /// The validator's answer.
    public let answer: Answer
    /// The validator's signature of block hash, ACK or NACK, and application hash.
    public let signature: VoteSignature

    /// Creates an answer from its parts.
    public init(height: Int64, block: Hash, answer: Answer, signature: VoteSignature) {
        self.height = height
        self.block = block
        self.answer = answer
        self.signature = signature
    }

    /// Creates and signs an answer.
    public init(height: Int64, block: Hash, answer: Answer, by key: PrivateKey) {
        self.init(
            height: height, block: block, answer: answer,
            signature: VoteSignature(block, appHash: answer.appHash, by: key))
    }

    /// The application hash of an ACK; nil for a NACK.
    public var appHash: Hash? { answer.appHash }

    /// Returns whether the vote's signature is valid. Does not check the leader's signature in `outOfSync`.
    public func verify() -> Bool { signature.verify(block, appHash: appHash) }

    package static let kind = "acknowledgement"
    package static let decodingLimit = ChainLimits.acknowledgementBytes

    package init(from reader: inout ByteReader) throws(BytesError) {
        let isAck = try reader.flag()
        height = try reader.height()
        block = try reader.hash()
        if isAck {
            answer = .ack(appHash: try reader.hash())
        } else {
            switch try reader.cstring(limit: ChainLimits.nameBytes) {
            case "invalid_block": answer = .invalidBlock
            case "unknown": answer = .unknown
            case "out_of_sync":
                let header = try BlockHeader(whole: reader.cbytes())
                answer = .outOfSync(best: header, leaderSignature: try reader.cbytes())
            default: throw .invalid("a status of a NACK")
            }
        }
        signature = try VoteSignature(whole: reader.cbytes())
    }

    /// The answer's bytes.
    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 256)
        writer.put(u8: appHash == nil ? 0 : 1)
        writer.put(u64: UInt64(clamping: height))
        writer.put(hash: block)
        switch answer {
        case .ack(let hash): writer.put(hash: hash)
        case .invalidBlock: writer.put(cstring: "invalid_block")
        case .unknown: writer.put(cstring: "unknown")
        case .outOfSync(let best, let leaderSignature):
            writer.put(cstring: "out_of_sync")
            writer.put(cbytes: best.bytes)
            writer.put(cbytes: leaderSignature)
        }
        writer.put(cbytes: signature.bytes)
        return writer.bytes
    }
}
