import Bytes
import Crypto

/// A node's state of consensus with respect to a height: the answer of `/apus/constatus/1.0.0` (docs/wire.md,
/// section 8). Most parts carry their own signatures; the connection authenticates the rest.
public struct ConsensusStatus: Hashable, Sendable, WireDecodable {
    /// What the node is doing at the height after its newest block.
    public enum Phase: UInt8, Sendable {
        /// Nothing.
        case idle = 0
        /// Executing a proposal, or waiting for votes on it.
        case proposed = 1
        /// Committing the block, which is decided.
        case committing = 2
        /// The leader withdrew its proposal and has made no new one yet.
        case withdrawn = 3
        /// The leader queries the validators' state before it proposes.
        case recovering = 4
    }

    /// The newest vote that the node has on disk.
    public struct Ballot: Hashable, Sendable {
        /// The height voted on.
        public let height: Int64
        /// The proposal's stamp: milliseconds since 1970 by the leader's clock.
        public let stamp: Int64
        /// The block voted on.
        public let block: Hash
        /// Whether the vote is an ACK.
        public let isAck: Bool
        /// The oldest height for which the node still has its vote; it no longer knows earlier ones.
        public let oldestHeight: Int64

        /// Creates a ballot from its parts.
        public init(height: Int64, stamp: Int64, block: Hash, isAck: Bool, oldestHeight: Int64) {
            self.height = height
            self.stamp = stamp
            self.block = block
            self.isAck = isAck
            self.oldestHeight = oldestHeight
        }
    }

    /// The newest committed height.
    public let height: Int64
    /// What the node is doing at the next height.
    public let phase: Phase
    /// The header of the newest committed block; nil before the first.
    public let best: BlockHeader?
    /// The leader's signature of that block; empty before the first.
    public let leaderSignature: SharedBytes
    /// The newest vote; nil if the node has none.
    public let vote: Ballot?
    /// The node's proposal for the next height, whose block `/apus/proposed/1.0.0` serves.
    public let proposal: BlockProposal?
    /// The leader whose proposals the node follows at the next height.
    public let follows: PublicKey?
    /// The commit of the requested height, if that is the newest block.
    public let commit: BlockAnnouncement?

    /// The maximum size besides the commit, in bytes: two headers, signatures and keys.
    static let fixedBytes = 4096
    /// The size of the largest status, in bytes.
    public static let maxBytes = ChainLimits.commitInfoBytes + fixedBytes

    /// Returns the size of the largest status on a chain with these block sizes, in bytes.
    public static func maxBytes(_ sizes: BlockSizes) -> Int { sizes.commitInfo + fixedBytes }

    /// Creates a status from its parts.
    public init(
        height: Int64, phase: Phase, best: BlockHeader?, leaderSignature: SharedBytes, vote: Ballot?,
        proposal: BlockProposal?, follows: PublicKey?, commit: BlockAnnouncement?
    ) {
        self.height = height
        self.phase = phase
        self.best = best
        self.leaderSignature = leaderSignature
        self.vote = vote
        self.proposal = proposal
        self.follows = follows
        self.commit = commit
    }

    package static let kind = "consensus status"
    package static let decodingLimit = maxBytes

    package init(from reader: inout ByteReader) throws(BytesError) {
        height = try reader.height()
        guard let phase = Phase(rawValue: try reader.u8()) else { throw .invalid("a phase") }
        self.phase = phase
        best = try reader.optional(BlockHeader.self)
        leaderSignature = try reader.cbytes()
        vote = try reader.optional(Ballot.self)
        proposal = try reader.optional(BlockProposal.self)
        let key = try reader.cbytes()
        follows = key.isEmpty ? nil : try decodedKey(wire: key.array)
        commit = try reader.optional(BlockAnnouncement.self)
    }

    /// i64 height, u8 phase, then as cbytes, each empty for none: header, leader's signature, vote, proposal, wire key,
    /// announcement.
    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 1024)
        writer.put(i64: height)
        writer.put(u8: phase.rawValue)
        writer.put(cbytes: best?.bytes ?? [])
        writer.put(cbytes: leaderSignature)
        writer.put(cbytes: vote?.bytes ?? [])
        writer.put(cbytes: proposal?.bytes ?? [])
        writer.put(cbytes: follows?.wire ?? [])
        writer.put(cbytes: commit?.bytes ?? [])
        return writer.bytes
    }
}

extension ConsensusStatus.Ballot: WireDecodable {
    package static let kind = "ballot"

    package init(from reader: inout ByteReader) throws(BytesError) {
        height = try reader.i64()
        stamp = try reader.i64()
        block = try reader.hash()
        isAck = try reader.flag()
        oldestHeight = try reader.i64()
        guard oldestHeight >= 0, oldestHeight <= height else { throw .invalid("a height") }
    }

    /// i64 height, i64 stamp, hash, one byte: 1 ACK, 0 NACK, i64 oldest height.
    var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 57)
        writer.put(i64: height)
        writer.put(i64: stamp)
        writer.put(hash: block)
        writer.put(u8: isAck ? 1 : 0)
        writer.put(i64: oldestHeight)
        return writer.bytes
    }
}

extension ByteReader {
    /// Reads cbytes that hold a value, or nil if they are empty.
    fileprivate mutating func optional<T: WireDecodable>(_ type: T.Type) throws(BytesError) -> T? {
        let bytes = try cbytes()
        return bytes.isEmpty ? nil : try T(whole: bytes)
    }
}
