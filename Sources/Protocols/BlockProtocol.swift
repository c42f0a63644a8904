import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// A committed block as it is served, still encoded.
public struct ServedBlock: Sendable {
    /// The block's height.
    public let height: Int64
    /// The block's hash.
    public let hash: Hash
    /// The block's bytes.
    public let block: SharedBytes
    /// The commit info's bytes.
    public let commitInfo: SharedBytes

    /// A block by its parts.
    public init(height: Int64, hash: Hash, block: SharedBytes, commitInfo: SharedBytes) {
        self.height = height
        self.hash = hash
        self.block = block
        self.commitInfo = commitInfo
    }
}

/// How blocks are asked for. Those of one kind take turns.
public enum ServedBlocks: Int, CaseIterable, Sendable {
    /// One on a stream.
    case single
    /// Many on a stream.
    case range
}

/// What the block protocols need from the node.
@ReactorActor
public protocol BlockSource: AnyObject {
    /// The height of the newest committed block.
    var bestHeight: Int64 { get }
    /// The committed block of this height.
    func block(height: Int64) async -> ServedBlock?
    /// The committed block of this hash.
    func block(hash: Hash) async -> ServedBlock?
    /// Committed blocks from a height on, in order: at most `count`, and no more after `bytes` of them. Empty when the
    /// first is not there.
    func blocks(from height: Int64, count: Int, bytes: Int, compressing: Bool) async -> [RangeBlock]

    /// Waits for a turn of the stream's peer, and returns its number. Nil when there are too many before it: the peer is
    /// to come back later. Every turn is ended by `endServing`; the stream is reset when the peer loses it before.
    func beginServing(_ stream: Stream, _ kind: ServedBlocks) async -> Int?
    /// The turn is over.
    func endServing(_ turn: Int)
    /// Whether others have waited long enough for the turn to end.
    func shouldYield(_ turn: Int) -> Bool
}

/// `/kwil/blk/1.0.0`: a committed block by its hash (docs/wire.md, section 7).
@ReactorActor
public struct BlockProtocol {
    static let prefix = Array("getblk:".utf8)

    private let source: any BlockSource

    /// Serves from `source`.
    public init(_ source: any BlockSource) { self.source = source }

    /// Answers one request, in the dialect of its first bytes.
    public func serve(_ stream: Stream) async {
        await Protocols.serve(stream) {
            let first = try await stream.readExactly(Self.prefix.count)
            let dialect: Dialect = first == Self.prefix ? .text : .binary
            let hash =
                dialect == .text
                ? try await stream.readHexHash()
                : try Hash(first + (try await stream.readExactly(Hash.count - first.count)))
            // Closing without an answer tells the peer to come back later.
            guard let turn = await source.beginServing(stream, .single) else { return }
            defer { source.endServing(turn) }
            stream.setTimeout(ProtocolLimits.sendBlock)
            guard let found = await source.block(hash: hash) else {
                return try await stream.write(dialect.noData)
            }
            var head = ByteWriter()
            head.put(i64: found.height)
            if dialect == .binary {
                head.put(varint: Int64(found.commitInfo.count))
                head.put(bytes: found.commitInfo)
                head.put(varint: Int64(found.block.count))
            }
            try await stream.write(head.bytes)
            try await stream.write(found.block)
        }
    }

    /// Asks a peer for a block with its commit info; nil when it has none. The hash is right, the block is decoded;
    /// signatures and votes are not checked. Throws `tooLarge` before it reads a block beyond `sizes`; `progress` is told
    /// now and then how many bytes are here while more are coming.
    public static func request(
        _ hash: Hash, from peer: PeerID, on host: Host, sizes: BlockSizes,
        progress: @ReactorActor (Int) async -> Void = { _ in }
    ) async throws(ProtocolsError) -> FetchedBlock? {
        try await exchange(host, peer, [KwilProtocol.block]) { stream in
            try await stream.write(hash.array)
            stream.setTimeout(ProtocolLimits.receiveBlock)
            let first = try await stream.read(upTo: 8)
            if first.isEmpty { throw ProtocolsError.busy }
            if first == [0], try await stream.read(upTo: 1).isEmpty { return nil }
            var reader = ByteReader(first + (try await stream.readExactly(8 - first.count)))
            let height = try reader.i64()
            let commitInfo = try await stream.readCBytes(limit: sizes.commitInfo, progress: progress)
            let block = try await stream.readCBytes(limit: sizes.block) { filled in
                await progress(commitInfo.count + filled)
            }
            guard try await stream.read(upTo: 1).isEmpty else {
                throw ProtocolsError.malformed("block answer")
            }
            let fetched = try FetchedBlock(block: block, commitInfo: commitInfo)
            guard fetched.block.hash == hash, fetched.block.height == height else {
                throw ProtocolsError.wrongContent("another block")
            }
            return fetched
        }
    }
}

/// A block and its commit info as a peer sent them, decoded, their signatures not yet checked.
public struct FetchedBlock: Sendable {
    /// The block.
    public let block: Block
    /// What is said to prove that it was committed.
    public let commitInfo: CommitInfo

    init(block: SharedBytes, commitInfo: SharedBytes) throws(ChainError) {
        self.block = try Block(decoding: block)
        self.commitInfo = try CommitInfo(decoding: commitInfo)
    }
}
