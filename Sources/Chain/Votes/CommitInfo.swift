import Bytes
import Crypto

/// The proof that a block was committed, and the changes it made (docs/wire.md, section 5).
public struct CommitInfo: Hashable, Sendable, WireDecodable {
    /// The application hash after the block.
    public let appHash: Hash
    /// The votes that the leader held when it committed, including its own.
    public let votes: [VoteInfo]
    /// Changes of network parameters that take effect with the next block.
    public let parameterUpdates: ParameterUpdates
    /// Changes of validators that take effect with the next block; power 0 removes one.
    public let validatorUpdates: [Validator]

    /// Creates a commit info from its parts.
    public init(
        appHash: Hash, votes: [VoteInfo], parameterUpdates: ParameterUpdates = ParameterUpdates(),
        validatorUpdates: [Validator] = []
    ) {
        self.appHash = appHash
        self.votes = votes
        self.parameterUpdates = parameterUpdates
        self.validatorUpdates = validatorUpdates
    }

    package static let kind = "commit info"
    package static let decodingLimit = ChainLimits.commitInfoBytes

    package init(from reader: inout ByteReader) throws(BytesError) {
        appHash = try reader.hash()
        // A vote takes more than a hundred bytes, a validator more than forty.
        votes = try reader.list(reader.length(), least: 64) { reader throws(BytesError) in
            try VoteInfo(whole: reader.cbytes())
        }
        parameterUpdates = try ParameterUpdates(whole: reader.cbytes())
        validatorUpdates = try reader.list(reader.length(), least: 32) { reader throws(BytesError) in
            try Validator(whole: reader.cbytes())
        }
    }

    /// The commit info's bytes.
    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 48 + votes.count * 144)
        writer.put(hash: appHash)
        writer.put(uvarint: UInt64(votes.count))
        for vote in votes { writer.put(cbytes: vote.bytes) }
        writer.put(cbytes: parameterUpdates.bytes)
        writer.put(uvarint: UInt64(validatorUpdates.count))
        for validator in validatorUpdates { writer.put(cbytes: validator.bytes) }
        return writer.bytes
    }

    /// Returns whether more than half of the validator set signed this application hash for the block. A vote
    /// by anyone else, a second vote of a validator or an invalid signature invalidates the whole.
    public func isCommitted(block: Hash, by validators: ValidatorSet) -> Bool {
        guard votes.count <= validators.count else { return false }
        var seen: Set<PublicKey> = []
        var agreeing = 0
        for vote in votes {
            guard validators.contains(vote.signature.publicKey),
                seen.insert(vote.signature.publicKey).inserted,
                vote.verify(block: block, appHash: appHash)
            else { return false }
            if vote.status == .agreed { agreeing += 1 }
        }
        return agreeing >= validators.quorum
    }
}
