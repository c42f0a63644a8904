import Bytes
import Chain
import Crypto
import LibP2P
import Multiformats
import Reactor

/// `/kwil/blkheight/1.0.0` and `/1.1.0`: a committed block by its height; every answer of 1.1.0 tells the best height
/// (docs/wire.md, section 7).
@ReactorActor
public struct BlockHeightProtocol: KwilStreamProtocol {
    /// The ID of 1.0.0.
    public nonisolated static let id: ProtocolID = "/kwil/blkheight/1.0.0"
    /// See `StreamProtocol.traffic`.
    public nonisolated static let traffic = "sync"
    /// The ID of 1.1.0.
    public nonisolated static let idWithBest: ProtocolID = "/kwil/blkheight/1.1.0"
    /// Both IDs.
    public nonisolated static let ids = [idWithBest, id]
    static let prefix = Array("getblkheight:".utf8)

    /// A peer's answer.
    public struct Answer: Sendable {
        /// The block; nil when the peer does not have it.
        public let found: FetchedBlock?
        /// The height of the peer's newest block; nil when it does not tell.
        public let bestHeight: Int64?
    }

    private let source: any BlockSource

    /// Serves from `source`.
    public init(_ source: any BlockSource) { self.source = source }

    /// Answers one request, in the dialect of its first bytes.
    public func serve(_ stream: Stream) async throws {
        let first = try await stream.readExactly(8)
        let dialect: Dialect = first == Array(Self.prefix.prefix(8)) ? .text : .binary
        let height: Int64
        if dialect == .text {
            guard try await stream.readExactly(Self.prefix.count - 8) == Array(Self.prefix.dropFirst(8))
            else {
                throw ProtocolsError.malformed("block request")
            }
            height = try await stream.readDecimal()
        } else {
            var reader = ByteReader(first)
            height = try reader.i64()
        }
        let tellsBest = dialect == .text || stream.protocolID == Self.idWithBest
        // Closing without an answer tells the peer to come back later.
        guard let turn = await source.beginServing(stream, .single) else { return }
        defer { source.endServing(turn) }
        stream.setTimeout(ProtocolLimits.sendBlock)
        guard let found = await source.block(height: height) else {
            var none = ByteWriter()
            none.put(bytes: dialect.noData)
            if dialect == .binary, tellsBest { none.put(i64: source.bestHeight) }
            return try await stream.write(none.bytes)
        }
        var head = ByteWriter(capacity: found.commitInfo.count + 64)
        head.put(u8: 1)
        head.put(bytes: found.hash)
        head.put(varint: Int64(found.commitInfo.count))
        head.put(bytes: found.commitInfo)
        head.put(varint: Int64(found.block.count))
        try await stream.write(head.bytes)
        try await stream.write(found.block)
        if tellsBest {
            var tail = ByteWriter()
            tail.put(i64: source.bestHeight)
            try await stream.write(tail.bytes)
        }
    }

    /// Requests the block of a height from a peer. The block is decoded and has the hash that the answer names; signatures and
    /// votes are not checked. Throws `tooLarge` before it reads a block larger than `sizes`. While more is coming, `progress` is
    /// told now and then how many bytes have come.
    public static func request(
        _ height: Int64, from peer: PeerID, on host: Host, sizes: BlockSizes,
        progress: @ReactorActor (Int) async -> Void = { _ in }
    ) async throws(ProtocolsError) -> Answer {
        try await exchange(host, peer, ids) { stream in
            var request = ByteWriter()
            request.put(i64: height)
            try await stream.write(request.bytes)
            stream.setTimeout(ProtocolLimits.receiveBlock)
            switch try await stream.read(upTo: 1) {
            case []: throw ProtocolsError.busy
            case [0]:
                return Answer(found: nil, bestHeight: try await readBest(stream))
            case [1]:
                let hash = try await stream.readHash()
                let commitInfo = try await stream.readCBytes(limit: sizes.commitInfo, progress: progress)
                let block = try await stream.readCBytes(limit: sizes.block) { filled in
                    await progress(commitInfo.count + filled)
                }
                let best = try await readBest(stream)
                let fetched = try FetchedBlock(block: block, commitInfo: commitInfo)
                try fetched.block.check(hash, at: height)
                return Answer(found: fetched, bestHeight: best)
            default: throw ProtocolsError.malformed("block answer")
            }
        }
    }

    private static func readBest(_ stream: Stream) async throws -> Int64? {
        let bytes = try await stream.readToEnd(limit: 8)
        if bytes.isEmpty { return nil }
        var reader = ByteReader(bytes)
        let best = try reader.i64()
        guard best >= 0 else { throw ProtocolsError.malformed("best height") }
        return best
    }
}
