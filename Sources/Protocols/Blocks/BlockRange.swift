import Bytes
import Chain

/// A request on a stream of `/apus/blkrange/1.0.0` (docs/wire.md, section 8).
public struct BlockRangeRequest: Hashable, Sendable {
    /// The most blocks of one request.
    public static let maxCount: UInt32 = 1024
    /// The most bytes of one request. The block that reaches them is still sent.
    public static let maxBytes: UInt32 = 64 << 20

    /// The first block's height.
    public let first: Int64
    /// How many consecutive blocks are requested, at least 1.
    public let count: UInt32
    /// Bytes of blocks after which the answer ends, at least 1.
    public let bytes: UInt32
    /// Whether blocks may come compressed.
    public let allowsLZ4: Bool

    static let size = 17

    /// A request. Count and bytes are clamped to their bounds.
    public init(first: Int64, count: Int, bytes: Int, allowsLZ4: Bool) {
        self.first = first
        self.count = min(max(UInt32(clamping: count), 1), Self.maxCount)
        self.bytes = min(max(UInt32(clamping: bytes), 1), Self.maxBytes)
        self.allowsLZ4 = allowsLZ4
    }

    init(decoding message: [UInt8]) throws {
        var reader = ByteReader(message)
        first = try reader.i64()
        count = try reader.u32()
        bytes = try reader.u32()
        let flags = try reader.u8()
        try reader.finish()
        guard 1...Self.maxCount ~= count, 1...Self.maxBytes ~= bytes, flags <= 1 else {
            throw ProtocolsError.malformed("block range request")
        }
        allowsLZ4 = flags == 1
    }

    var message: [UInt8] {
        var writer = ByteWriter(capacity: Self.size)
        writer.put(i64: first)
        writer.put(u32: count)
        writer.put(u32: bytes)
        writer.put(u8: allowsLZ4 ? 1 : 0)
        return writer.bytes
    }
}

/// One block of a range as it travels, compressed or not.
public struct RangeBlock: Sendable {
    /// The block's height.
    public let height: Int64
    /// The commit info's bytes.
    public let commitInfo: SharedBytes
    /// The block's bytes, or their lz4 form.
    public let content: SharedBytes
    /// Bytes of the block itself.
    public let blockCount: Int
    /// Whether `content` is lz4.
    public let isCompressed: Bool
}

extension RangeBlock {
    /// A stored block, compressed if requested and worthwhile. This takes a pass over the block: call it on a worker.
    public init(_ block: ServedBlock, compressing: Bool) {
        let compressed = compressing ? LZ4.compress(block.block) : nil
        self.init(
            height: block.height, commitInfo: block.commitInfo, content: compressed ?? block.block,
            blockCount: block.block.count, isCompressed: compressed != nil)
    }

    /// Decompresses and decodes the block; neither Merkle root nor signatures are checked. Call it on a worker.
    public func decoded() throws(ProtocolsError) -> FetchedBlock {
        var block = content
        if isCompressed {
            guard let whole = LZ4.decompress(content, count: blockCount) else {
                throw .malformed("compressed block")
            }
            block = whole
        }
        let fetched: FetchedBlock
        do throws(ChainError) {
            fetched = try FetchedBlock(block: block, commitInfo: commitInfo)
        } catch {
            throw .refused(error)
        }
        guard fetched.block.height == height else { throw .wrongContent("another block") }
        return fetched
    }
}

/// The header before each block of a range, and the end after the last.
enum BlockRangeHeader: Equatable {
    case block(height: Int64, commitInfo: Int, block: Int, content: Int, isCompressed: Bool)
    case end(BlockRangeEnd.Reason, best: Int64)

    /// Bytes of an end, and of the first part of a block's header.
    static let endSize = 10
    /// Bytes of a block's header.
    static let blockSize = 22

    /// How many bytes follow the first `endSize` ones; nil when these are not the beginning of a header.
    static func rest(of first: [UInt8]) -> Int? {
        switch first.first {
        case 0: 0
        case 1: blockSize - endSize
        default: nil
        }
    }

    init(decoding bytes: [UInt8]) throws {
        var reader = ByteReader(bytes)
        let (kind, detail, height) = (try reader.u8(), try reader.u8(), try reader.i64())
        guard height >= 0 else { throw ProtocolsError.malformed("height") }
        if kind == 0 {
            guard let reason = BlockRangeEnd.Reason(rawValue: detail) else {
                throw ProtocolsError.malformed("end of a block range")
            }
            self = .end(reason, best: height)
        } else {
            let lengths = (Int(try reader.u32()), Int(try reader.u32()), Int(try reader.u32()))
            let isCompressed = detail == 1
            guard detail <= 1, lengths.0 <= ChainLimits.commitInfoBytes, lengths.1 <= ChainLimits.blockBytes,
                isCompressed ? lengths.2 < lengths.1 : lengths.2 == lengths.1, lengths.2 > 0
            else { throw ProtocolsError.malformed("header in a block range") }
            self = .block(
                height: height, commitInfo: lengths.0, block: lengths.1, content: lengths.2,
                isCompressed: isCompressed)
        }
        try reader.finish()
    }

    func write(to writer: inout ByteWriter) {
        switch self {
        case .end(let reason, let best):
            writer.put(u8: 0)
            writer.put(u8: reason.rawValue)
            writer.put(i64: best)
        case .block(let height, let commitInfo, let block, let content, let isCompressed):
            writer.put(u8: 1)
            writer.put(u8: isCompressed ? 1 : 0)
            writer.put(i64: height)
            for length in [commitInfo, block, content] { writer.put(u32: UInt32(clamping: length)) }
        }
    }
}

/// How the answer to a range request ended.
public struct BlockRangeEnd: Hashable, Sendable {
    /// Why no more blocks came.
    public enum Reason: UInt8, Sendable {
        /// All that was requested has come, in blocks or in bytes.
        case done = 0
        /// The server has no block of the next height.
        case lacks = 1
        /// The server serves others now; the blocks that it has sent are good.
        case busy = 2
    }

    /// Why no more blocks came.
    public let reason: Reason
    /// The height of the server's newest block.
    public let bestHeight: Int64
}
