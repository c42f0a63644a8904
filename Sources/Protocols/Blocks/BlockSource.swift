import Bytes
import Chain
import Crypto
import LibP2P
import Reactor

/// What the block protocols need from the node.
@ReactorActor
public protocol BlockSource: AnyObject {
    /// The height of the newest committed block.
    var bestHeight: Int64 { get }
    /// The committed block of this height.
    func block(height: Int64) async -> ServedBlock?
    /// The committed block of this hash.
    func block(hash: Hash) async -> ServedBlock?
    /// Committed blocks from a height on, in order: at most `count`, and no more once they have `bytes` bytes. Empty when the
    /// first is missing.
    func blocks(from height: Int64, count: Int, bytes: Int, compressing: Bool) async -> [RangeBlock]

    /// Waits for a turn of the stream's peer and returns its number; nil when too many are waiting, and the peer has to come
    /// back later. `endServing` ends every turn. The stream is reset if the peer loses its turn before.
    func beginServing(_ stream: Stream, _ kind: ServedBlocks) async -> Int?
    /// The turn is over.
    func endServing(_ turn: Int)
    /// Whether others have waited long enough for the turn to end.
    func shouldYield(_ turn: Int) -> Bool
}

/// How blocks are requested. Requests of one kind take turns.
public enum ServedBlocks: Int, CaseIterable, Sendable {
    /// One block on a stream.
    case single
    /// Many blocks on a stream.
    case range
}

/// A committed block to be served, still encoded.
public struct ServedBlock: Sendable {
    /// The block's height.
    public let height: Int64
    /// The block's hash.
    public let hash: Hash
    /// The block's bytes.
    public let block: SharedBytes
    /// The commit info's bytes.
    public let commitInfo: SharedBytes

    /// A block made of its parts.
    public init(height: Int64, hash: Hash, block: SharedBytes, commitInfo: SharedBytes) {
        self.height = height
        self.hash = hash
        self.block = block
        self.commitInfo = commitInfo
    }
}

/// A block and its commit info as a peer sent them, decoded, their signatures not yet checked.
public struct FetchedBlock: Sendable {
    /// The block.
    public let block: Block
    /// What is to prove that the block was committed.
    public let commitInfo: CommitInfo

    init(block: SharedBytes, commitInfo: SharedBytes) throws(ChainError) {
        self.block = try Block(decoding: block)
        self.commitInfo = try CommitInfo(decoding: commitInfo)
    }
}

extension Block {
    /// Throws unless this is the block that was requested or announced.
    func check(_ hash: Hash, at height: Int64) throws(ProtocolsError) {
        guard self.hash == hash, self.height == height else { throw .wrongContent("another block") }
    }
}
