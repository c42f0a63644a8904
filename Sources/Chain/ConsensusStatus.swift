import Bytes
import Crypto

/// What a node says about consensus when it is asked about a height: the answer of `/apus/constatus/1.0.0`
/// (docs/wire.md, section 8). Its parts prove themselves where they can; the connection says whose it is.
public struct ConsensusStatus: Hashable, Sendable {
    /// What the node is doing about the height after its newest block.
    public enum Phase: UInt8, Sendable {
        /// Nothing.
        case idle = 0
        /// A proposal is executed, or waits for votes.
        case proposed = 1
        /// The block is decided and being committed.
        case committing = 2
        /// The leader withdrew its proposal and has made no other yet.
        case withdrawn = 3
        /// The leader asks the validators what they know before it proposes.
        case recovering = 4
    }

    /// The newest vote that the node has on disk.
    public struct Ballot: Hashable, Sendable {
        /// The height voted on.
        public let height: Int64
        /// The proposal's stamp, ms since 1970 by the leader's clock.
        public let stamp: Int64
        /// The block voted on.
        public let block: Hash
        /// Whether the node agreed.
        public let isAck: Bool
        /// The oldest height that the node remembers a vote of: what it may have said before, it does not know.
        public let oldestHeight: Int64

        /// A ballot by its parts.
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
    /// What is done about the next.
    public let phase: Phase
    /// Header of the newest committed block; nil before the first.
    public let best: BlockHeader?
    /// Its leader's signature of it; empty before the first.
    public let leaderSignature: SharedBytes
    /// The newest vote; nil when the node's memory holds none.
    public let vote: Ballot?
    /// The proposal that the node has for the next height; `/apus/proposed/1.0.0` gives its block.
    public let proposal: BlockProposal?
    /// Whose proposals the node follows at the next height.
    public let follows: PublicKey?
    /// The commit of the height asked about, if that is the newest block.
    public let commit: BlockAnnouncement?

    /// Bytes besides the commit's: two headers, signatures and keys.
    static let fixedBytes = 4096
    /// Bytes of the largest status.
    public static let maxBytes = ChainLimits.commitInfoBytes + fixedBytes

    /// Bytes of the largest status on a chain whose blocks have these sizes.
    public static func maxBytes(_ sizes: BlockSizes) -> Int { sizes.commitInfo + fixedBytes }

    /// A status by its parts.
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

    /// Decodes a status; refuses trailing bytes.
    public init(decoding bytes: SharedBytes) throws(ChainError) {
        guard bytes.count <= Self.maxBytes else {
            throw .tooLarge("consensus status", count: bytes.count, limit: Self.maxBytes)
        }
        self = try decodeWhole("consensus status", bytes) { reader throws(BytesError) in
            try ConsensusStatus(from: &reader)
        }
    }

    init(from reader: inout ByteReader) throws(BytesError) {
        height = try reader.i64()
        guard height >= 0 else { throw .invalid("a height") }
        guard let phase = Phase(rawValue: try reader.u8()) else { throw .invalid("a phase") }
        self.phase = phase
        best = try reader.optional { reader throws(BytesError) in try BlockHeader(from: &reader) }
        leaderSignature = try reader.cbytes()
        vote = try reader.optional { reader throws(BytesError) in try Ballot(from: &reader) }
        proposal = try reader.optional { reader throws(BytesError) in try BlockProposal(from: &reader)
        }
        let key = try reader.cbytes()
        follows = key.isEmpty ? nil : try decodedKey(wire: key.array)
        commit = try reader.optional { reader throws(BytesError) in
            try BlockAnnouncement(from: &reader)
        }
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

extension ConsensusStatus.Ballot {
    init(from reader: inout ByteReader) throws(BytesError) {
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
    /// cbytes that hold a whole value, or nothing.
    fileprivate mutating func optional<T>(
        _ body: (inout ByteReader) throws(BytesError) -> T
    ) throws(BytesError) -> T? {
        let bytes = try cbytes()
        guard !bytes.isEmpty else { return nil }
        var inner = ByteReader(bytes)
        let value = try body(&inner)
        try inner.finish()
        return value
    }
}
