import Bytes
import Crypto

/// Proof that a block was committed, and what it changed (docs/wire.md, section 5).
public struct CommitInfo: Hashable, Sendable {
    /// The application hash after the block.
    public let appHash: Hash
    /// The votes that the leader had when it committed, its own included.
    public let votes: [VoteInfo]
    /// Network parameters that change with the next block.
    public let parameterUpdates: ParameterUpdates
    /// Validators that change with the next block; power 0 removes.
    public let validatorUpdates: [Validator]

    /// A commit info by its parts.
    public init(
        appHash: Hash, votes: [VoteInfo], parameterUpdates: ParameterUpdates = ParameterUpdates(),
        validatorUpdates: [Validator] = []
    ) {
        self.appHash = appHash
        self.votes = votes
        self.parameterUpdates = parameterUpdates
        self.validatorUpdates = validatorUpdates
    }

    /// Decodes a commit info; refuses trailing bytes. Checks no signature.
    public init(decoding bytes: SharedBytes) throws(ChainError) {
        guard bytes.count <= ChainLimits.commitInfoBytes else {
            throw .tooLarge("commit info", count: bytes.count, limit: ChainLimits.commitInfoBytes)
        }
        self = try decodeWhole("commit info", bytes) { reader throws(BytesError) in
            try CommitInfo(from: &reader)
        }
    }

    init(from reader: inout ByteReader) throws(BytesError) {
        appHash = try reader.hash()
        // A vote takes some hundred bytes, a validator more than forty.
        let voteCount = try reader.length()
        guard voteCount <= reader.remaining / 64 else { throw .truncated }
        var votes: [VoteInfo] = []
        votes.reserveCapacity(voteCount)
        for _ in 0..<voteCount { votes.append(try VoteInfo(nestedIn: &reader)) }
        self.votes = votes
        var inner = ByteReader(try reader.cbytes())
        parameterUpdates = try ParameterUpdates(from: &inner)
        try inner.finish()
        let updateCount = try reader.length()
        guard updateCount <= reader.remaining / 32 else { throw .truncated }
        var updates: [Validator] = []
        updates.reserveCapacity(updateCount)
        for _ in 0..<updateCount {
            var inner = ByteReader(try reader.cbytes())
            updates.append(try Validator(from: &inner))
            try inner.finish()
        }
        validatorUpdates = updates
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

    /// Whether validators of the set, more than half of it, signed this application hash for the block. A vote of
    /// somebody else, a second vote of a validator or a signature that does not verify refuses the whole.
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
