import Bytes
import Crypto

/// The announcement of a committed block: the message of `/kwil/blkann/1.0.0` (docs/wire.md, section 7).
public struct BlockAnnouncement: Hashable, Sendable, WireDecodable {
    /// The committed block.
    public let hash: Hash
    /// Its height.
    public let height: Int64
    /// Its header.
    public let header: BlockHeader
    /// The proof that it was committed.
    public let commitInfo: CommitInfo
    /// The leader's signature over `hash`.
    public let leaderSignature: SharedBytes

    /// Creates the announcement of a block.
    public init(_ block: Block, _ commitInfo: CommitInfo) {
        hash = block.hash
        height = block.height
        header = block.header
        self.commitInfo = commitInfo
        leaderSignature = block.signature
    }

    /// Returns whether hash, height and header match and the leader signed them.
    public func verify(_ leader: PublicKey) -> Bool {
        header.height == height && header.hash == hash && leader.verify(leaderSignature, of: hash)
    }

    package static let kind = "block announcement"

    package init(from reader: inout ByteReader) throws(BytesError) {
        hash = try reader.hash()
        height = try reader.height()
        header = try BlockHeader(whole: reader.cbytes())
        commitInfo = try CommitInfo(whole: reader.cbytes())
        leaderSignature = try reader.cbytes()
    }

    /// Hash, i64 height, cbytes header, cbytes commit info, cbytes leader's signature.
    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 512 + commitInfo.votes.count * 144)
        writer.put(hash: hash)
        writer.put(i64: height)
        writer.put(cbytes: header.bytes)
        writer.put(cbytes: commitInfo.bytes)
        writer.put(cbytes: leaderSignature)
        return writer.bytes
    }
}
