import Bytes
import Chain
import LibP2P
import Multiformats
import Reactor

/// `/apus/blkrange/1.0.0`: consecutive committed blocks with their commit infos, one after the other on one stream
/// (docs/wire.md, section 8).
@ReactorActor
public struct BlockRangeProtocol: KwilStreamProtocol {
    /// The protocol's ID.
    public nonisolated static let id: ProtocolID = "/apus/blkrange/1.0.0"
    /// See `StreamProtocol.traffic`.
    public nonisolated static let traffic = "sync"
    /// Bytes of blocks that the server reads at a time: all that waits, in its memory or in the mapped log, for a peer that
    /// reads slowly.
    static let batchBytes = 1 << 20
    /// Blocks that the server reads at a time.
    static let batchCount = 64
    /// Contents up to this size are gathered into a common write.
    static let smallContent = 8 << 10
    /// Bytes of a common write.
    static let writeSize = 64 << 10
    /// Blocks, and bytes of blocks, after which the requesting side passes on what it has read.
    nonisolated static let readCount = 64
    nonisolated static let readBytes = 64 << 10

    private let source: any BlockSource

    /// Serves from `source`.
    public init(_ source: any BlockSource) { self.source = source }

    // MARK: Serving

    /// Answers one request.
    public func serve(_ stream: Stream) async throws {
        let request = try BlockRangeRequest(
            decoding: try await stream.readExactly(BlockRangeRequest.size))
        guard let turn = await source.beginServing(stream, .range) else {
            return try await end(.busy, [], stream)
        }
        defer { source.endServing(turn) }
        var next = request.first
        var left = Int(request.count)
        var budget = Int(request.bytes)
        var writer = ByteWriter(capacity: 4096)
        while left > 0, budget > 0 {
            let blocks = await source.blocks(
                from: next, count: min(left, Self.batchCount), bytes: min(budget, Self.batchBytes),
                compressing: request.allowsLZ4)
            guard !blocks.isEmpty else { return try await end(.lacks, writer.bytes, stream) }
            stream.setTimeout(ProtocolLimits.sendBlock)
            for block in blocks.prefix(left) {
                try await write(block, &writer, stream)
                budget -= block.blockCount
                left -= 1
                next &+= 1
            }
            if left > 0, budget > 0, source.shouldYield(turn) {
                return try await end(.busy, writer.bytes, stream)
            }
        }
        try await end(.done, writer.bytes, stream)
    }

    /// Writes a block. A small one joins the others in `writer`; a large one is encrypted from where it lies.
    private func write(_ block: RangeBlock, _ writer: inout ByteWriter, _ stream: Stream) async throws {
        BlockRangeHeader.block(
            height: block.height, commitInfo: block.commitInfo.count, block: block.blockCount,
            content: block.content.count, isCompressed: block.isCompressed
        ).write(to: &writer)
        writer.put(bytes: block.commitInfo)
        let isSmall = block.content.count <= Self.smallContent
        if isSmall { writer.put(bytes: block.content) }
        guard !isSmall || writer.bytes.count >= Self.writeSize else { return }
        try await stream.write(writer.bytes)
        writer = ByteWriter(capacity: 4096)
        if !isSmall { try await stream.write(block.content) }
    }

    private func end(_ reason: BlockRangeEnd.Reason, _ before: [UInt8], _ stream: Stream) async throws {
        var writer = ByteWriter(capacity: before.count + BlockRangeHeader.endSize)
        writer.put(bytes: before)
        BlockRangeHeader.end(reason, best: source.bestHeight).write(to: &writer)
        stream.setTimeout(ProtocolLimits.sendBlock)
        try await stream.write(writer.bytes)
    }

    // MARK: Requesting

    /// How long the requesting side waits.
    public struct Patience: Sendable {
        /// For the first byte of the answer.
        public var answer: Duration
        /// Between two pieces of the answer.
        public var idle: Duration

        /// Both waits.
        public init(answer: Duration, idle: Duration) {
            self.answer = answer
            self.idle = idle
        }
    }

    /// A piece of a range that is coming.
    public enum Piece: Sendable {
        /// The next blocks, at least one. Their heights are right; nothing else is checked yet.
        case blocks([RangeBlock])
        /// This many bytes of a block have come, and more are coming.
        case progress(bytes: Int)
    }

    /// Requests a range from a peer and passes blocks to `take` when they are complete, several at once if they have come
    /// together. The next are read after `take` returns.
    ///
    /// Throws `busy` if the peer serves others, and `tooLarge` before it reads a block larger than `sizes`. Cancelling the task
    /// ends the stream.
    public static func request(
        _ request: BlockRangeRequest, from peer: PeerID, on host: Host, sizes: BlockSizes, patience: Patience,
        take: @ReactorActor (Piece) async -> Void
    ) async throws(ProtocolsError) -> BlockRangeEnd {
        try await exchange(host, peer, ids) { stream in
            try await stream.write(request.message)
            var height = request.first
            var budget = Int(request.bytes)
            var arrived = Arrived()
            for index in 0...request.count {
                if arrived.isFull || stream.bytesWaiting < BlockRangeHeader.endSize {
                    if let blocks = arrived.take() { await take(.blocks(blocks)) }
                }
                stream.setTimeout(index == 0 ? patience.answer : max(patience.idle, patience.answer))
                switch try await readHeader(stream, isFirst: index == 0) {
                case .end(let reason, let best):
                    if let blocks = arrived.take() { await take(.blocks(blocks)) }
                    return BlockRangeEnd(reason: reason, bestHeight: best)
                case .block(height, let infoCount, let blockCount, let contentCount, let isCompressed):
                    guard index < request.count, budget > 0, request.allowsLZ4 || !isCompressed else { break }
                    guard infoCount <= sizes.commitInfo, blockCount <= sizes.block else {
                        throw LibP2PError.tooLarge("block of \(blockCount) bytes")
                    }
                    budget -= blockCount
                    // What is here does not wait for a block that is not.
                    if stream.bytesWaiting < infoCount + contentCount, let blocks = arrived.take() {
                        await take(.blocks(blocks))
                    }
                    let (info, content) = try await readParts(
                        stream, infoCount, contentCount, idle: patience.idle
                    ) { filled in
                        await take(.progress(bytes: filled))
                    }
                    let block = RangeBlock(
                        height: height, commitInfo: info, content: content, blockCount: blockCount,
                        isCompressed: isCompressed)
                    arrived.append(block)
                    height &+= 1
                    continue
                case .block: break
                }
                throw ProtocolsError.wrongContent("a block that was not asked for")
            }
            throw ProtocolsError.wrongContent("more blocks than were asked for")
        }
    }

    /// Blocks that have been read and not been passed on.
    private struct Arrived {
        private var blocks: [RangeBlock] = []
        private var bytes = 0

        var isFull: Bool { blocks.count >= readCount || bytes >= readBytes }

        mutating func append(_ block: RangeBlock) {
            blocks.append(block)
            bytes += block.commitInfo.count + block.blockCount
        }

        /// Returns the blocks, if there are any, and forgets them.
        mutating func take() -> [RangeBlock]? {
            guard !blocks.isEmpty else { return nil }
            defer { self = Arrived() }
            return blocks
        }
    }

    /// Reads a block's commit info and content. While more of a large one is coming, `progress` is told how many bytes have come.
    private static func readParts(
        _ stream: Stream, _ infoCount: Int, _ contentCount: Int, idle: Duration,
        progress: @ReactorActor (Int) async -> Void
    ) async throws -> (commitInfo: SharedBytes, content: SharedBytes) {
        let whole = infoCount + contentCount
        if whole <= smallContent, stream.bytesWaiting >= whole {
            // For a small block, reads take longer than what they read.
            let both = try await stream.readShared(whole)
            return (both.slice(0..<infoCount), both.slice(infoCount..<whole))
        }
        let info = try await stream.readBlock(infoCount, idle: idle, progress: progress)
        let content = try await stream.readBlock(contentCount, idle: idle) { filled in
            await progress(infoCount + filled)
        }
        return (info, content)
    }

    private static func readHeader(_ stream: Stream, isFirst: Bool) async throws -> BlockRangeHeader {
        // Nothing follows an end, so what is long enough for a block's header is one. Bytes before the first may be an answer to
        // the offer of the protocol.
        if !isFirst, stream.bytesWaiting >= BlockRangeHeader.blockSize {
            let bytes = try await stream.readExactly(BlockRangeHeader.blockSize)
            guard BlockRangeHeader.rest(of: bytes) == BlockRangeHeader.blockSize - BlockRangeHeader.endSize
            else {
                throw ProtocolsError.malformed("block range")
            }
            return try BlockRangeHeader(decoding: bytes)
        }
        var first = try await stream.read(upTo: BlockRangeHeader.endSize)
        if first.isEmpty {
            throw isFirst ? ProtocolsError.busy : ProtocolsError.stream(.endOfStream)
        }
        if first.count < BlockRangeHeader.endSize {
            first += try await stream.readExactly(BlockRangeHeader.endSize - first.count)
        }
        guard let rest = BlockRangeHeader.rest(of: first) else {
            throw ProtocolsError.malformed("block range")
        }
        if rest > 0 { first += try await stream.readExactly(rest) }
        return try BlockRangeHeader(decoding: first)
    }
}
