import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// `/kwil/blk/1.0.0`: a committed block by its hash (docs/wire.md, section 7).
@ReactorActor
public struct BlockProtocol: KwilStreamProtocol {
    /// The protocol's ID.
    public nonisolated static let id: ProtocolID = "/kwil/blk/1.0.0"
    /// See `StreamProtocol.traffic`.
    public nonisolated static let traffic = "blocks"
    /// See `StreamProtocol.priority`.
    public nonisolated static let priority = StreamPriority.high
    static let prefix = Array("getblk:".utf8)

    private let source: any BlockSource

    /// Serves from `source`.
    public init(_ source: any BlockSource) { self.source = source }

    /// Answers one request, in the dialect of its first bytes.
    public func serve(_ stream: Stream) async throws {
        let (hash, dialect) = try await stream.readHashRequest(Self.prefix)
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

    /// Requests a block with its commit info from a peer; nil when it has none. The block is decoded and has the requested hash;
    /// signatures and votes are not checked. Throws `tooLarge` before it reads a block larger than `sizes`. While more is
    /// coming, `progress` is told now and then how many bytes have come.
    public static func request(
        _ hash: Hash, from peer: PeerID, on host: Host, sizes: BlockSizes,
        progress: @ReactorActor (Int) async -> Void = { _ in }
    ) async throws(ProtocolsError) -> FetchedBlock? {
        try await exchange(host, peer, ids) { stream in
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
            try fetched.block.check(hash, at: height)
            return fetched
        }
    }
}
